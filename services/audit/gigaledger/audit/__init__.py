"""What an auditor does with a history: recompute every figure, explain it, replay it, export it."""
