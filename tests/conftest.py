"""What all tests share: the PostgreSQL of the session and the services as processes."""

from __future__ import annotations

pytest_plugins = ["tests.postgres", "tests.processes"]
