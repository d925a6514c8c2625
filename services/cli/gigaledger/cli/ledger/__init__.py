"""Commands that write and read the log: append, book, events, key."""
