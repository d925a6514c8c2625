"""The ledger service: decides on facts and keeps the log of every book."""
