"""How much of the money between any number of parties runs in circles."""
