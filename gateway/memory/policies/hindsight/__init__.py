"""Hindsight: four kinds of memories, and the links between them."""

from gateway.memory.policies.hindsight.policy import Hindsight

__all__ = ["Hindsight"]
