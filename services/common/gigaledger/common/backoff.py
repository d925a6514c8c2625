"""Delays of loops that never give up.

Retry libraries count the attempts of one block from its start. Here one attempt may be a
subscription that follows a log for days: each event it receives resets the delay, so that the first
retry after it breaks is quick.
"""

from __future__ import annotations


class Backoff:
    """Exponential back-off: each delay is twice the one before, up to a limit, until a success."""

    def __init__(self, first_seconds: float = 0.1, last_seconds: float = 5.0) -> None:
        """Start with the first delay."""
        self._first = first_seconds
        self._last = last_seconds
        self._next = first_seconds

    def next_seconds(self) -> float:
        """Return the delay before the next attempt."""
        seconds = self._next
        self._next = min(2 * seconds, self._last)
        return seconds

    def reset(self) -> None:
        """Return to the first delay, after a success."""
        self._next = self._first
