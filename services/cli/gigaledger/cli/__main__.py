"""`python -m gigaledger.cli` is `gigaledger`."""

from __future__ import annotations

from gigaledger.cli.main import main

main()
