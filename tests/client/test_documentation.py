"""The page for callers: its examples are Python, and those of facts build them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from gigaledger.client import GigaledgerError, errors
from google.protobuf.message import Message

PAGE = (Path(__file__).parents[2] / "docs" / "callers.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GigaledgerError) and kind is not GigaledgerError
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_examples_compile(block: str) -> None:
    compile(block, "callers.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_examples_of_facts_build_them() -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        if re.match(r"from datetime.*facts, money|\w+ = facts\.", block, re.DOTALL):
            exec(block, names)  # noqa: S102 - of our own page
    built = {name for name, value in names.items() if isinstance(value, Message)}
    assert built == {"order", "invoice", "certified", "issued", "warrant", "vehicle"}


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_documented(kind: type[GigaledgerError]) -> None:
    assert f"`{kind.__name__}`" in PAGE
