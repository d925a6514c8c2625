"""How the projections connect to PostgreSQL."""

from __future__ import annotations

SESSION_OPTIONS = "-c role=gigaledger_projections -c timezone=UTC -c synchronous_commit=off"
"""Options of every connection: it works with the rights of the role alone, whoever logs in, sees
instants in UTC, and does not wait for the disk. Rows and position are lost together where
PostgreSQL itself crashes, and are folded again from the log, which does wait."""
