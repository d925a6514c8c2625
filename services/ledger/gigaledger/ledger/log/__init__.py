"""The log of a book in PostgreSQL: gapless, immutable, idempotent."""
