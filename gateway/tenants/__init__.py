"""Tenants, their keys, their limits and the log of what operators did. Knows no memory's content."""
