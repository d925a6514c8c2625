"""The projections: read models folded from the log of a book, and the answers made of them."""
