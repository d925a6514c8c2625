"""The web page: books as pages to look at, served from the answers of the gRPC services."""
