"""Requests from JSON Lines: each line is an AppendEventsRequest in protobuf's JSON mapping.

Lines that begin with # are comments. Dates, amounts, decimal numbers and enums may also take the
forms in `short_forms`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from gigaledger.cli.ledger.requests import FileRequest, InputError, derived_request_id, text_of
from gigaledger.cli.ledger.short_forms import expand
from gigaledger.v1.ledger_pb2 import AppendEventsRequest
from google.protobuf import json_format

_COMMENT = "#"
_JSON_TROUBLE = "Failed to load JSON: "


def read_json_lines(file: BinaryIO, name: str) -> Iterator[FileRequest | InputError]:
    """Read requests, one a line; empty lines and those that begin with # are skipped.

    A line without `requestId` gets one that is derived from its place and content, so that reading
    the same file again repeats the same requests.

    Args:
        file: the lines, in UTF-8.
        name: of the file, for errors and derived ids.

    Returns:
        For each line its request, or the error of one that can't be read.
    """
    read_bytes = 0
    for number, raw in enumerate(file, start=1):
        read_bytes += len(raw)
        try:
            line = text_of(raw, name, number).strip()
            if line and not line.startswith(_COMMENT):
                request = _request(line, f"{name}:{number}")
                request.request_id = request.request_id or derived_request_id(name, number, raw)
                yield FileRequest(request, name, number, read_bytes)
        except InputError as error:
            yield error


def _request(line: str, place: str) -> AppendEventsRequest:
    request = _parsed(line, place)
    if request.validate_only:
        raise InputError(place, "validateOnly is not for files: use --check")
    if not request.events:
        raise InputError(place, "the line has no events")
    return request


def _parsed(line: str, place: str) -> AppendEventsRequest:
    """Return the request on a line: strictly by the mapping, else with short forms.

    Raises:
        InputError: it is neither.
    """
    request = AppendEventsRequest()
    try:
        return json_format.Parse(line, request)
    except json_format.ParseError as error:
        if str(error).startswith(_JSON_TROUBLE):
            raise InputError(place, _readable(str(error))) from None
    try:
        value = expand(json.loads(line), AppendEventsRequest.DESCRIPTOR)
        return json_format.ParseDict(value, AppendEventsRequest())
    except json_format.ParseError as error:
        raise InputError(place, _readable(str(error))) from None
    except ValueError as error:
        raise InputError(place, str(error)) from None


def _readable(message: str) -> str:
    """Return the innermost reason alone, without the list of every field that exists."""
    if message.startswith(_JSON_TROUBLE):
        reason = message.removeprefix(_JSON_TROUBLE).removesuffix(".").replace("line 1 ", "")
        return f"not JSON: {reason}"
    reason = re.sub(r"^(?:Failed to parse \S+ field: )+", "", message.partition("\n")[0])
    unknown = re.search(r'has no field named "([^"]*)"', reason)
    near = difflib.get_close_matches(unknown[1], re.findall(r"'(\w+)'", message)) if unknown else []
    return f"{reason} Did you mean {near[0]}?" if near else reason
