"""The contract of gigaledger."""
