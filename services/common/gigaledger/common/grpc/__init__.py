"""What every gRPC service of gigaledger shares: server, health, errors."""
