"""Requests from files, with their place in the file and an id that makes them safe to repeat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.v1.ledger_pb2 import AppendEventsRequest

MAX_REQUEST_ID_LENGTH = 128
"""As the contract says of AppendEventsRequest.request_id."""
HASH_DIGITS = 16


class InputError(CommandError):
    """A line of a file can't be read."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}", ExitCode.INVALID_INPUT)


@dataclass(frozen=True)
class FileRequest:
    """A request and the line that it comes from.

    Attributes:
        request: the request, with its id and without its book.
        file: name of the file.
        line: number of its first line, 1 and up.
        read_bytes: how much of the file has been read with it.
    """

    request: AppendEventsRequest
    file: str
    line: int
    read_bytes: int

    @property
    def place(self) -> str:
        """For people and their editors: file:line."""
        return f"{self.file}:{self.line}"


def derived_request_id(file: str, line: int, raw: bytes) -> str:
    """Return `<file name>:<line number>:<first 16 hex digits of SHA-256 of the line>`.

    The end of the line does not count. Letters that a request id can't hold become "_", and a long
    name keeps its end.
    """
    digest = hashlib.sha256(raw.rstrip(b"\r\n")).hexdigest()[:HASH_DIGITS]
    tail = f":{line}:{digest}"
    visible = "".join(letter if "!" <= letter <= "~" else "_" for letter in file)
    return visible[-(MAX_REQUEST_ID_LENGTH - len(tail)) :] + tail


def text_of(raw: bytes, file: str, line: int) -> str:
    """Return a line of UTF-8; a byte order mark at the start of the file is passed over.

    Raises:
        InputError: the bytes are no UTF-8.
    """
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}:{line}", f"not UTF-8 at byte {error.start + 1}") from None
