"""PostgreSQL: the embedded server, and numbered migrations."""
