"""Round trip: purchases against investment between pairs of parties."""
