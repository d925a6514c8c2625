"""Commands that run services: up, demo, serve, database, health."""
