"""Commands that ask for figures: report, ask, projection."""
