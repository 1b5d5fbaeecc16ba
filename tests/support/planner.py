"""A planner for tests of what is not thinking: no policy thinks, and nothing is ever due. Knows no store."""

from gateway.memory.plan import Pace, Planner
from tests.support.model import Clock
from tests.support.model_agenda import ModelAgenda


def unthinking() -> Planner:
    """Over an agenda of its own."""
    return Planner(ModelAgenda(alive=True), {}, "verbatim", Pace(), Clock())
