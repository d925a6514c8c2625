"""The projection engine: follow the log, fold, write, lead, rebuild."""
