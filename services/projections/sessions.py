"""How the projections connect to PostgreSQL."""

from __future__ import annotations

SESSION_OPTIONS = "-c role=gigaledger_projections -c timezone=UTC"
"""Options of every connection: it works with the rights of the role alone, whoever logs in, and
sees instants in UTC."""
