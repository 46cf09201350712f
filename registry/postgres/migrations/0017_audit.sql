-- The audit journal: an entry for every change of what rights stand on, written in the transaction of the change, and
-- for every reading of what is not public. Each is chained to the one before it; registry/audit.py makes and proves it.

CREATE TABLE audit (
    number  bigint  PRIMARY KEY,
    at      bigint  NOT NULL,
    account integer NOT NULL,
    actor   text    NOT NULL,
    role    text    NOT NULL,
    peer    text    NOT NULL,
    action  text    NOT NULL,
    objects text[]  NOT NULL,
    before  text    NOT NULL,
    after   text    NOT NULL,
    digest  bytea   NOT NULL
);
COMMENT ON COLUMN audit.at IS 'milliseconds since 1970 UTC, never less than that of the entry before';
COMMENT ON COLUMN audit.account IS '0: none';
COMMENT ON COLUMN audit.digest IS 'sha256 (digest of the entry before, number, at, canonical entry)';
CREATE INDEX audit_actor ON audit (actor, number);
CREATE INDEX audit_action ON audit (action, number);
CREATE INDEX audit_at ON audit (at, number);

-- Which entries name an object: found again, not proven, by it.
CREATE TABLE audit_object (
    object text   COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (object, number)
);

-- Its last entry, and the room all take. Whoever writes holds this row until commit: that orders the entries.
CREATE TABLE audit_head (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    number bigint  NOT NULL,
    at     bigint  NOT NULL,
    octets bigint  NOT NULL,
    digest bytea   NOT NULL
) WITH (fillfactor = 50);
INSERT INTO audit_head (number, at, octets, digest) VALUES (0, 0, 0, decode(repeat('00', 32), 'hex'));

-- What a machine was set to when it started last: what differs the next time is told.
CREATE TABLE machine_setting (
    machine  text COLLATE "C" PRIMARY KEY,
    settings text NOT NULL
);

-- Nothing of it is ever changed or taken out. Who may switch triggers off can; the chain then says so.
CREATE FUNCTION audit_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit journal is only ever added to' USING ERRCODE = 'ID006';
END $$;
CREATE TRIGGER audit_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();
CREATE TRIGGER audit_object_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_object
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();
CREATE TRIGGER audit_head_stands BEFORE DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();
CREATE TRIGGER audit_head_grows BEFORE UPDATE ON audit_head
    FOR EACH ROW WHEN (NEW.number <> OLD.number + 1) EXECUTE FUNCTION audit_stands();

-- Adds an entry; its number. To be the last thing a transaction does: whoever holds the head waits for nobody.
-- Raises ID005 when it would take more than p_most.
CREATE FUNCTION append_audit(
    p_account integer, p_actor text, p_role text, p_peer text, p_action text, p_objects text[],
    p_before text, p_after text, p_entry bytea, p_room bigint, p_most bigint
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_head   audit_head;
    v_number bigint;
    v_at     bigint;
    v_digest bytea;
BEGIN
    SELECT * INTO v_head FROM audit_head FOR UPDATE;
    IF v_head.octets + p_room > p_most THEN
        RAISE EXCEPTION 'the audit journal is full' USING ERRCODE = 'ID005';
    END IF;
    v_number := v_head.number + 1;
    v_at := greatest(v_head.at, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint);
    v_digest := sha256(v_head.digest || convert_to(v_number || ' ' || v_at || ' ', 'UTF8') || p_entry);
    UPDATE audit_head SET number = v_number, at = v_at, octets = octets + p_room, digest = v_digest;
    INSERT INTO audit (number, at, account, actor, role, peer, action, objects, before, after, digest)
    VALUES (v_number, v_at, p_account, p_actor, p_role, p_peer, p_action, p_objects, p_before, p_after, v_digest);
    INSERT INTO audit_object (object, number) SELECT DISTINCT object, v_number FROM unnest(p_objects) object;
    RETURN v_number;
END $$;
