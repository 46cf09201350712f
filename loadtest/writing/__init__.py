"""The writing side compared with PostgreSQL's own: COPY, pgbench. Rules of registration are never here."""
