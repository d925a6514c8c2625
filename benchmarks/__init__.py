"""Benchmarks: each figure beside a peer or a limit that is measured in the same run."""
