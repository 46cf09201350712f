"""What is recorded and who may change it: pure rules, and PostgreSQL behind a reading and a writing door."""
