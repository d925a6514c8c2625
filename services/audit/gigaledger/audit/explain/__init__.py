"""Replay, and the events behind a figure."""
