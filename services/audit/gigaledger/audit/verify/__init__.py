"""Verification of a history and of everything published from it."""
