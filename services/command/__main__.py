"""`python -m services.command` is `gigaledger`."""

from __future__ import annotations

from services.command.main import main

main()
