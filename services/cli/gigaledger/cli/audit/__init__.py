"""Commands for auditors: audit."""
