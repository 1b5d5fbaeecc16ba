"""How good a remembered turn is as evidence for a question."""

from gateway.memory.policies.ranker.evidence import Evidence, examine
from gateway.memory.policies.ranker.verdict import judge, verdicts
from gateway.memory.policies.ranker.weights import Weights

__all__ = ["Evidence", "Weights", "examine", "judge", "verdicts"]
