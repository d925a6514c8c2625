"""Settings, from the environment: every variable starts with GIGALEDGER_."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingMissingError(RuntimeError):
    """A setting that a service needs is not given. The text names it."""


class Settings(BaseSettings):
    """All settings of all processes. Read once, when a process starts."""

    model_config = SettingsConfigDict(env_prefix="GIGALEDGER_", extra="ignore")

    database_url: str | None = Field(
        default=None,
        description="PostgreSQL 15 or newer, e.g. postgresql://user:password@host/gigaledger. "
        "Where unset, `up` and `demo` start an embedded PostgreSQL.",
    )
    data_dir: Path = Field(
        default=Path("~/.gigaledger"),
        description="Where the embedded PostgreSQL keeps its data.",
    )
    ledger_address: str = Field(
        default="127.0.0.1:50051",
        description="Where the ledger service listens and clients find it: host:port.",
    )
    projections_address: str = Field(
        default="127.0.0.1:50052",
        description="Where the projection service listens and clients find it: host:port.",
    )
    ledger_metrics_address: str | None = Field(
        default=None,
        description="Where the ledger serves metrics for Prometheus: host:port. Of several "
        "processes, each takes the next port. Unset: nowhere.",
    )
    projections_metrics_address: str | None = Field(
        default=None,
        description="Where the projection service serves metrics for Prometheus: host:port. Unset: "
        "nowhere.",
    )
    signing_key: Path | None = Field(
        default=None,
        description="File of the ledger's private key (`gigaledger key make`). Where unset, books "
        "are not sealed; `up` and `demo` make one.",
    )
    reuse_port: bool = Field(
        default=False,
        description="Listen beside other processes on the same address; the system spreads new "
        "connections over them. `gigaledger serve ledger --processes N` sets it.",
    )
    drain_seconds: float = Field(
        default=10.0,
        ge=0,
        description="On SIGTERM or SIGINT, how long calls under way may take to finish.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="One JSON object a line for machines, or text for people."
    )

    def required_database_url(self) -> str:
        """Return the database of a service, which starts none itself.

        Raises:
            SettingMissingError: none is named.
        """
        if self.database_url is None:
            raise SettingMissingError("GIGALEDGER_DATABASE_URL must name a PostgreSQL database")
        return self.database_url
