"""Decisions on facts: plain Python without I/O, clock or randomness.

`catalogue` lists every type of fact with its rules; `book` decides on requests with them.
"""
