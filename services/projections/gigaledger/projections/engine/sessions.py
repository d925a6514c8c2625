"""Sessions of the projections in PostgreSQL."""

from __future__ import annotations

from gigaledger.common.postgres.connections import session_options

SESSION_OPTIONS = session_options("gigaledger_projections", synchronous_commit="off")
"""libpq options of every session. Commits do not wait for the disk: if PostgreSQL crashes, rows and
position are lost together, and are folded again from the log, whose commits do wait."""
