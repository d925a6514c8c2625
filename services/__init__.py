"""The services of gigaledger, and the command that starts and calls them."""
