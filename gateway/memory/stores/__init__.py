"""Adapters that keep memory. Only wiring chooses among them."""
