"""Exceptions: facts that are legal to record and flagged for review (SX-*)."""
