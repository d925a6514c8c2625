"""The `gigaledger` command: run the services, append facts, read them, ask for reports."""
