"""Commands that are imported when they are called.

Importing all of them takes longer than most of them run. The help of the program lists each by its
summary, without importing it.
"""

from __future__ import annotations

import importlib
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class LazyCommand(TyperCommand):
    """A command, or a group of commands, that is imported from Typer apps when it is called."""

    def __init__(
        self, name: str, panel: str, summary: str, *modules: str, group: bool = False
    ) -> None:
        """Describe a command.

        Args:
            name: as typed on the command line.
            panel: heading under which the help of the program lists it.
            summary: first line of its help.
            modules: modules below `gigaledger.cli` that define it in an `app`.
            group: whether it is a group: the first app, with the commands of the others; otherwise
                it is the command of its name.
        """
        super().__init__(name, help=summary, rich_help_panel=panel)
        self._modules = modules
        self._group = group

    def load(self) -> TyperCommand | TyperGroup:
        """Import the command."""
        first, *others = (
            get_group(importlib.import_module(f"gigaledger.cli.{module}").app)
            for module in self._modules
        )
        for other in others:
            first.commands.update(other.commands)
        found: Any = first if self._group else first.commands[self.name or ""]
        found.name = self.name
        return found  # type: ignore[no-any-return]

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Return a context of the imported command."""
        return self.load().make_context(*args, **extra)
