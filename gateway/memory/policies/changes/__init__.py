"""Corrections among memories: which statement takes an older one back, by words alone, without a model."""

from gateway.memory.policies.changes.settling import settle

__all__ = ["settle"]
