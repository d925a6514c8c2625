"""When a call is repeated, and how long it waits before that. No I/O, no clock of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from gigaledger.client.errors import GigaledgerError


@dataclass(frozen=True)
class RetryPolicy:
    """How long and how often calls are repeated that failed for a passing reason.

    Attributes:
        seconds: how long one call, or one stream that is broken, is repeated in all; 0 for never.
        first_delay: seconds before the first repeat.
        longest_delay: the most seconds between two repeats, unless the service advises more.
        multiplier: growth of the delay from one repeat to the next.
    """

    seconds: float = 30.0
    first_delay: float = 0.1
    longest_delay: float = 2.0
    multiplier: float = 2.0


class Backoff:
    """The delays between the attempts of one call: exponential, with jitter."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._uniform = uniform
        self.reset()

    def reset(self) -> None:
        """Start over after a success."""
        self._ends: float | None = None
        self._delay = self._policy.first_delay

    def delay_after(self, error: GigaledgerError) -> float:
        """Return the seconds to wait before the next attempt.

        At least as long as the service advised, and a random part of the delay on top, so that many
        callers do not come back at once.

        Raises:
            GigaledgerError: the error itself, if it will not pass or time is up.
        """
        now = self._clock()
        if self._ends is None:
            self._ends = now + self._policy.seconds
        if not error.is_transient:
            raise error
        wait = (error.retry_after or 0.0) + self._uniform(0.5, 1.0) * self._delay
        if now + wait > self._ends:
            raise error
        self._delay = min(self._delay * self._policy.multiplier, self._policy.longest_delay)
        return wait
