"""Whether a Docker engine answers here, and has or gets the images that tests need."""

from __future__ import annotations

from functools import cache

import requests
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.docker_client import DockerClient

_PING_SECONDS = 5
_PULL_SECONDS = 120
"""Longest silence of the engine while it pulls an image."""


@cache
def engine_problem() -> str | None:
    """Say why no container can run here, or None where one can."""
    try:
        DockerClient(timeout=_PING_SECONDS).client.ping()
    except (DockerException, requests.RequestException):
        return "no Docker engine answers this user"
    return None


@cache
def image_problem(image: str) -> str | None:
    """Say why no container of `image` can run here, or None where one can.

    An image that the engine does not have is pulled.
    """
    problem = engine_problem()
    if problem:
        return problem
    images = DockerClient(timeout=_PULL_SECONDS).client.images
    try:
        images.get(image)
    except ImageNotFound:
        try:
            images.pull(image)
        except (DockerException, requests.RequestException) as error:
            return f"the Docker engine can't get {image} ({error})"
    return None
