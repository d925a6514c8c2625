"""Vocabulary that several projections share: agreements, amounts, periods."""
