"""Sections of pages, made of the answers of the services. Pure."""
