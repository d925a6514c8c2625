"""What all tests share: PostgreSQL, the services as processes, and how many examples they try."""

from __future__ import annotations

pytest_plugins = ["tests.hypothesis_profiles", "tests.postgres", "tests.processes"]
