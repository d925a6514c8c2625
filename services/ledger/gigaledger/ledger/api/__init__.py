"""The gRPC side of the ledger: translate, call, translate back."""
