"""Exceptions, evaluated a second time."""
