-- The handles of prefixes, 0.NA/88.999.1001, have a stream like any prefix: what is kept at them is written, followed
-- and corrected as everything else. No enterprise has this prefix, so it is never filed, told upwards or listed. Its
-- number is the last one caches know the epoch of (registry/prefix.py), which no enterprise's will ever be.
INSERT INTO prefix (number, name, state, epoch) OVERRIDING SYSTEM VALUE VALUES (1048575, '0.NA', 1, 1);
INSERT INTO stream (prefix_no, number, head, prefix_epoch)
SELECT number, 0, decode(repeat('00', 32), 'hex'), epoch FROM prefix WHERE number = 1048575;
