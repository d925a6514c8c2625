"""Warrants: granted, vested, exercisable, exercised, lapsed."""
