"""Which heads retrieve, and how layers are cut by it: no engine, no model."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.kv.choice import chosen
from workers.kv.errors import PolicyRefused
from workers.kv.policies.duo import Duo
from workers.kv.policies.full import Full
from workers.kv.policies.sink_window import SinkWindow

LAYERS, HEADS, BLOCK = 6, 8, 32
SOME = st.dictionaries(st.integers(0, LAYERS - 1), st.sets(st.integers(0, HEADS - 1)))


def duo(heads: dict[int, tuple[int, ...]]) -> Duo:
    """The policy for these heads, in blocks."""
    policy = chosen("duo", {"sink": 33, "window": 64, "heads": heads}).policy(BLOCK)
    assert isinstance(policy, Duo)
    return policy


def test_named_heads_read_everything_and_the_rest_streams() -> None:
    """Sinks are rounded up to whole blocks; a layer that is not named streams with all its heads."""
    policy = duo({1: (0, 2)})
    streaming = SinkWindow(sinks=2, window=2)

    assert policy.at(1, 4) == (Full(), streaming, Full(), streaming)
    assert policy.at(0, 4) == (streaming,) * 4


def test_whole_layers_are_not_cut() -> None:
    """Where no layer holds both kinds there is one slice per layer: vLLM's own."""
    assert duo({0: (0, 1, 2, 3)}).slices(2, 4) == (((0, 1, 2, 3),), ((0, 1, 2, 3),))


def test_slices_are_as_large_as_every_layer_allows() -> None:
    """Two heads of four here, all four there: pairs everywhere, also where the layer itself would need no cut."""
    assert duo({0: (0, 3), 1: (0, 1, 2, 3)}).slices(3, 4) == (((0, 3), (1, 2)), ((0, 1), (2, 3)), ((0, 1), (2, 3)))


@given(SOME)
def test_slices_hold_every_head_once_in_equal_sizes_and_one_policy_each(named: dict[int, set[int]]) -> None:
    """Whatever heads are named: a partition of each layer, one size for the whole model, no slice of two kinds."""
    policy = duo({layer: tuple(heads) for layer, heads in named.items()})
    slices = policy.slices(LAYERS, HEADS)

    assert all(sorted(chain(*layer)) == list(range(HEADS)) for layer in slices)
    assert len({len(heads) for layer in slices for heads in layer}) == 1
    for number, layer in enumerate(slices):
        by_head = policy.at(number, HEADS)
        assert all(len({by_head[head] for head in heads}) == 1 for heads in layer)


@pytest.mark.parametrize(("heads", "reason"), [({6: (0,)}, "layers are 0 to 5"), ({0: (8,)}, "heads are 0 to 7")])
def test_heads_that_a_model_lacks_are_refused(heads: dict[int, tuple[int, ...]], reason: str) -> None:
    """A list made for another model says so, instead of streaming where it should retrieve."""
    with pytest.raises(PolicyRefused, match=reason):
        duo(heads).slices(LAYERS, HEADS)
