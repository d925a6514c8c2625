"""Settings from environment variables, which all start with GIGALEDGER_."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT_DATA_DIR = Path("/var/lib/gigaledger")
"""Default data directory of root, whose home is closed to the account that PostgreSQL runs as."""


class SettingMissingError(RuntimeError):
    """A required setting is missing. The message names it."""


class Settings(BaseSettings):
    """The settings of all processes, read once when a process starts."""

    model_config = SettingsConfigDict(env_prefix="GIGALEDGER_", extra="ignore")

    database_url: str | None = Field(
        default=None,
        description="PostgreSQL 15 or newer, e.g. postgresql://user:password@host/gigaledger. "
        "If unset, `up` and `demo` start an embedded PostgreSQL.",
    )
    data_dir: Path = Field(
        default=Path("~/.gigaledger"),
        description="Data directory of the embedded PostgreSQL.",
    )
    ledger_address: str = Field(
        default="127.0.0.1:50051",
        description="Address of the ledger service, host:port.",
    )
    projections_address: str = Field(
        default="127.0.0.1:50052",
        description="Address of the projection service, host:port.",
    )
    exceptions_address: str = Field(
        default="127.0.0.1:50053",
        description="Where the evaluation of exceptions answers health checks: host:port.",
    )
    web_address: str = Field(
        default="127.0.0.1:50080",
        description="Where the web page is served: host:port.",
    )
    web_hosts: str | None = Field(
        default=None,
        description="Host names that browsers may address the web page by, separated by commas. "
        "If unset: those of this machine on a loopback address, any on another.",
    )
    ledger_metrics_address: str | None = Field(
        default=None,
        description="Address of the ledger's Prometheus metrics, host:port. Of several "
        "processes, each uses the next port. If unset, no metrics are served.",
    )
    projections_metrics_address: str | None = Field(
        default=None,
        description="Address of the projection service's Prometheus metrics, host:port. If "
        "unset, no metrics are served.",
    )
    exceptions_metrics_address: str | None = Field(
        default=None,
        description="Where the evaluation of exceptions serves metrics for Prometheus: host:port. "
        "Unset: nowhere.",
    )
    signing_key: Path | None = Field(
        default=None,
        description="File of the ledger's private key (`gigaledger key make`). If unset, books "
        "are not sealed; `up` and `demo` create one.",
    )
    reuse_port: bool = Field(
        default=False,
        description="Share the address with other processes; the system distributes new "
        "connections among them. `gigaledger serve ledger --processes N` sets it.",
    )
    drain_seconds: float = Field(
        default=10.0,
        ge=0,
        description="Time in which active calls may finish after SIGTERM or SIGINT.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest severity that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="One JSON object per line, or text for people."
    )

    def embedded_data_dir(self) -> Path:
        """Return the data directory of the embedded PostgreSQL."""
        if os.geteuid() == 0 and "data_dir" not in self.model_fields_set:
            return ROOT_DATA_DIR
        return self.data_dir.expanduser().absolute()

    def required_database_url(self) -> str:
        """Return the database URL.

        Raises:
            SettingMissingError: it is not set.
        """
        if self.database_url is None:
            raise SettingMissingError("GIGALEDGER_DATABASE_URL must be the URL of a PostgreSQL")
        return self.database_url
