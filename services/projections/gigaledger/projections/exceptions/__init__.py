"""What is legal to record but an auditor wants flagged: the soft rules SX-*."""
