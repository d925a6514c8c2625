"""Finds out whether containers can run here."""

from __future__ import annotations

from functools import cache

import requests
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.docker_client import DockerClient

_PING_SECONDS = 5
_PULL_SECONDS = 120
"""Longest time without progress while the engine pulls an image."""


@cache
def engine_problem() -> str | None:
    """Return why no container can run here, or None if one can."""
    try:
        DockerClient(timeout=_PING_SECONDS).client.ping()
    except (DockerException, requests.RequestException):
        return "no Docker engine answers this user"
    return None


@cache
def image_problem(image: str) -> str | None:
    """Return why no container of `image` can run here, or None if one can.

    Pulls the image if the engine does not have it.
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
            return f"the Docker engine cannot pull {image} ({error})"
    return None
