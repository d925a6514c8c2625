"""Signals as a request to stop at the next safe point."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Self

from gigaledger.cli.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.05


class Interruption:
    """While entered, SIGINT, SIGTERM and SIGHUP raise nothing: they set a flag.

    A process that has started others must not be torn out of the start of the next one: whoever
    works here asks between two steps.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, signal.Handlers | int | None] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            # signal.signal returns what it is given: a function, a Handlers value or None
            self._before[number] = signal.signal(number, self._request)  # type: ignore[assignment]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Return, unless a stop was requested.

        Raises:
            Interrupted: it was.
        """
        if self.requested:
            raise Interrupted

    def pause(self, seconds: float = _POLL_SECONDS) -> None:
        """Wait a moment, unless a stop is requested.

        Raises:
            Interrupted: it was.
        """
        time.sleep(seconds)
        self.check()

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
