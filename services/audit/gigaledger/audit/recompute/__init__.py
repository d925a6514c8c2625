"""Every published figure, recomputed by a second fold."""
