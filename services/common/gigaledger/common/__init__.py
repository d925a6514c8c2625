"""What every process of gigaledger needs to run: settings, logs, PostgreSQL, a gRPC server."""
