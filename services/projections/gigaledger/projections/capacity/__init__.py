"""Capacity: contracted, planned, claimed, certified, energised, delivered."""
