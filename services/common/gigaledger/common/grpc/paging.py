"""Pages (AIP-158). A page token is a cursor, bound to the request whose pages it continues."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TypeVar

from gigaledger.common.grpc.errors import InvalidArgumentError
from google.protobuf.message import Message

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
_DIGEST_BYTES = 8
_PAGE_FIELDS = ("page_size", "page_token")
_FRESHNESS_FIELDS = ("min_position", "max_wait")
"""Fields of `read` that may differ between pages."""
_Request = TypeVar("_Request", bound=Message)


def page_size_of(requested: int) -> int:
    """Return how many items a page has: the default for 0, and never more than the maximum.

    Raises:
        InvalidArgumentError: negative.
    """
    if requested < 0:
        raise InvalidArgumentError("page_size", f"must not be negative, is {requested}")
    return min(requested or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def make_page_token(cursor: str, request: Message) -> str:
    """Return the token with which a request continues at a cursor."""
    return base64.urlsafe_b64encode(_digest(request) + cursor.encode()).decode()


def read_page_token(pattern: re.Pattern[str], token: str, request: Message) -> re.Match[str]:
    """Return the cursor of a request's page token, matched by a pattern.

    Raises:
        InvalidArgumentError: not a token of this method, or one of another request.
    """
    try:
        decoded = base64.b64decode(token, altchars=b"-_", validate=True)
        match = pattern.fullmatch(decoded[_DIGEST_BYTES:].decode())
    except ValueError:
        match = None
    if match is None:
        raise InvalidArgumentError("page_token", "is not a token of this method")
    if decoded[:_DIGEST_BYTES] != _digest(request):
        message = "belongs to another request: pages of one request differ in page_size alone"
        raise InvalidArgumentError("page_token", message)
    return match


def _digest(request: _Request) -> bytes:
    """Return a digest of a request without the fields that differ between its pages."""
    content = type(request)()
    content.CopyFrom(request)
    for field in _PAGE_FIELDS:
        content.ClearField(field)
    if "read" in content.DESCRIPTOR.fields_by_name:
        for field in _FRESHNESS_FIELDS:
            content.read.ClearField(field)  # type: ignore[attr-defined]
    serialized = content.SerializeToString(deterministic=True)
    return hashlib.sha256(serialized).digest()[:_DIGEST_BYTES]
