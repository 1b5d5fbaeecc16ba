"""What the pages offer to choose from is what there is."""

from typing import get_args

from gateway.memory.records import Kind
from gateway.pages.views.memories import KINDS


def test_every_kind_of_memory_can_be_chosen() -> None:
    """The pages may not import it, so it is held equal here."""
    assert get_args(Kind) == KINDS
