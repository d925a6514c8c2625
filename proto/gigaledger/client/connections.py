"""Settings of a connection: addresses, channel options, credentials, deadlines."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from gigaledger.client.retries import RetryPolicy
from google.protobuf.message import Message

LEDGER_ADDRESS = "127.0.0.1:50051"
PROJECTIONS_ADDRESS = "127.0.0.1:50052"

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # The services limit what they send and take.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A stream ends if its peer is gone without a word. Servers accept a ping every 10 seconds.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Repeats are ours: a service that is back is found within a second.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),  # the time that one attempt may take
    ("grpc.max_reconnect_backoff_ms", 1000),
)

Token = str | Callable[[], str]
"""A bearer token, or a function that returns the current one."""


@dataclass(frozen=True)
class Tls:
    """TLS, with a client certificate for mutual TLS.

    Attributes:
        root_certificates: PEM file of the authorities to trust; those of gRPC if None.
        certificate_chain: PEM file of the client's certificate.
        private_key: PEM file of its key.
        server_name: name that the server's certificate must have, if it is not that of the address.
    """

    root_certificates: str | Path | None = None
    certificate_chain: str | Path | None = None
    private_key: str | Path | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files and return the credentials.

        Raises:
            OSError: a file can't be read.
        """
        return grpc.ssl_channel_credentials(
            root_certificates=_bytes_of(self.root_certificates),
            private_key=_bytes_of(self.private_key),
            certificate_chain=_bytes_of(self.certificate_chain),
        )


@dataclass(frozen=True)
class Settings:
    """Settings of a client. See `connect`."""

    ledger_address: str
    projections_address: str
    credentials: grpc.ChannelCredentials | None = None
    server_name: str = ""
    token: Token = ""
    actor: str = ""
    call_seconds: float = 10.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def address_of(self, method: str) -> str:
        """Return the address of the service that a method belongs to."""
        if method.startswith("/gigaledger.v1.ProjectionService/"):
            return self.projections_address
        return self.ledger_address

    def options(self) -> list[tuple[str, int | str]]:
        """Return the options of a channel."""
        named = [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []
        return [*_OPTIONS, *named]

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what is sent along with each call."""
        token = self.token() if callable(self.token) else self.token
        return (("authorization", f"Bearer {token}"),) if token else ()


def settings(  # noqa: PLR0913 - the options of a connection
    address: str | None,
    *,
    projections: str | None,
    tls: bool | Tls,
    credentials: grpc.ChannelCredentials | None,
    token: Token,
    actor: str,
    timeout: float,
    retry: RetryPolicy | None,
) -> Settings:
    """Return the settings of a client, completed from the environment.

    Raises:
        ValueError: a token would be sent in the clear to another machine, or both `tls` and
            `credentials` are given.
    """
    if tls and credentials is not None:
        raise ValueError("tls and credentials exclude each other")
    described = Tls() if tls is True else tls or None
    if described is not None:
        credentials = described.credentials()
    made = Settings(
        ledger_address=address or os.environ.get("GIGALEDGER_LEDGER_ADDRESS") or LEDGER_ADDRESS,
        projections_address=(
            projections or os.environ.get("GIGALEDGER_PROJECTIONS_ADDRESS") or PROJECTIONS_ADDRESS
        ),
        credentials=credentials,
        server_name=described.server_name if described else "",
        token=token,
        actor=actor,
        call_seconds=timeout,
        retry=retry or RetryPolicy(),
    )
    if token and credentials is None:
        for target in (made.ledger_address, made.projections_address):
            if not _is_local(target):
                raise ValueError(f"token: would be sent to {target} in the clear: use tls=True")
    return made


def serialized(message: Message) -> bytes:
    """Return a message as it is sent."""
    return message.SerializeToString()


def _bytes_of(file: str | Path | None) -> bytes | None:
    return None if file is None else Path(file).read_bytes()


def _is_local(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
