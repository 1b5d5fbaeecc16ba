"""Times in questions and memories: which moments a text names, and what a question wants to know about time."""

from gateway.memory.policies.times.asked import Anchor, anchor, order
from gateway.memory.policies.times.spans import Span, spans

__all__ = ["Anchor", "Span", "anchor", "order", "spans"]
