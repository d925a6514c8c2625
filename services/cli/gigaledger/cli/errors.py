"""Exit codes of the command, and errors that say what to do."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `gigaledger`. Part of its interface: numbers never change."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 3
    NOT_FOUND = 4
    INVALID_INPUT = 5
    NOT_PREPARED = 6
    FAILED = 7
    NOT_VERIFIED = 8
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """Description for people."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done, or stopped as asked",
    ExitCode.REFUSED: "refused by the ledger: a rule stands against it, or an id is taken",
    ExitCode.USAGE: "the command line or a setting is wrong",
    ExitCode.UNAVAILABLE: "a service or the database can't be reached or does not answer",
    ExitCode.NOT_FOUND: "there is no such book, event or file",
    ExitCode.INVALID_INPUT: "a line of an input file can't be read",
    ExitCode.NOT_PREPARED: "the database lacks what `gigaledger database prepare` sets up",
    ExitCode.FAILED: "something broke: a process ended by itself, or an unexpected error",
    ExitCode.NOT_VERIFIED: "what was verified does not hold",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C or a signal before it was done",
}


class CommandError(Exception):
    """Ends the command. Shown on standard error.

    Attributes:
        message: what is wrong.
        exit_code: exit code of the command.
        hint: what to do about it; empty if the message says so.
    """

    def __init__(self, message: str, exit_code: ExitCode, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.hint = hint


class OutputClosed(Exception):  # noqa: N818 - not an error: the reader has seen enough
    """The reader of the output has closed it, as `head` does."""


class Interrupted(Exception):  # noqa: N818 - not an error: a signal asked to stop
    """A signal asked to stop, and the work was not done."""
