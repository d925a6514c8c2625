"""Tests of audits look at the read models of the projections, too."""

from tests.projections.conftest import read_models

__all__ = ["read_models"]
