"""A history in the formats of other tools, each with a manifest."""
