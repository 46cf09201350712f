-- Who stands behind an account, by name or staff number: nobody holds two of the three administrators' powers.
ALTER TABLE account ADD COLUMN person text;
CREATE UNIQUE INDEX account_one_power ON account (person)
    WHERE role IN ('system_admin', 'security_admin', 'audit_admin');
