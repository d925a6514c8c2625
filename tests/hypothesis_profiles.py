"""How many examples property tests try; `--hypothesis-profile=thorough` tries more."""

from __future__ import annotations

from hypothesis import settings

_DEFAULT_EXAMPLES = 100
_THOROUGH_FACTOR = 5

settings.register_profile("thorough", max_examples=_THOROUGH_FACTOR * _DEFAULT_EXAMPLES)


def examples(count: int) -> int:
    """Return the number of examples under the selected profile; `count` under the default one."""
    return count * settings().max_examples // _DEFAULT_EXAMPLES


def thorough() -> bool:
    """Return whether tests that enumerate cases go through all of them."""
    return settings().max_examples > _DEFAULT_EXAMPLES
