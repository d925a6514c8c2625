"""The client of gigaledger."""
