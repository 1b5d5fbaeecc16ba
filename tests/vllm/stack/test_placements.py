"""What memory costs the worker's prefix cache over twenty turns, by vLLM's own count, and what it costs elsewhere."""

import pytest

from tests.vllm.stack.placements import POLICIES, Found, measure
from tests.vllm.stack.running import Stack
from tests.vllm.stack.table import rows, table
from tests.vllm.stack.talk import TALKS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AT_MOST = 1.05
"""Times the ideal: no memory, and each injected token once."""


@pytest.fixture(scope="module")
def found(stack: Stack) -> dict[str, Found]:
    """Every placement in every conversation; the table is printed."""
    measured = {talk: measure(stack, talk) for talk in TALKS}
    print(f"\n{table(measured)}")
    return measured


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("talk", TALKS)
def test_memory_costs_little_more_than_its_own_tokens(found: dict[str, Found], talk: str, policy: str) -> None:
    """Through the gateway, the worker computes what it would without memory, and every injected token once."""
    each = found[talk]

    assert each.on[policy].recomputed <= AT_MOST * each.ideal(policy)


@pytest.mark.parametrize("talk", TALKS)
def test_most_turns_had_memory(found: dict[str, Found], talk: str) -> None:
    """So that the claim is about something."""
    each = found[talk]

    assert len(each.memories) == 20
    assert sum(bool(memory) for memory in each.memories) >= 15
    assert all(each.injected(policy) > 2000 for policy in POLICIES)


@pytest.mark.parametrize("talk", TALKS)
def test_the_gateways_prompts_are_those_replayed_by_hand(found: dict[str, Found], talk: str) -> None:
    """Token for token as many, found in the cache as often: nothing else of the gateway's is in them."""
    each = found[talk]
    by_hand = each.others["beside the last user text, replayed"]

    assert {(cost.calls, cost.prompt, cost.cached) for cost in each.on.values()} == {
        (by_hand.calls, by_hand.prompt, by_hand.cached)
    }


@pytest.mark.parametrize("talk", TALKS)
def test_what_changes_ahead_of_the_history_costs_all_of_it(found: dict[str, Found], talk: str) -> None:
    """In the system message, or behind it: several times as much as through the gateway."""
    each = found[talk]

    for place in ("end of the system message", "own message before the history"):
        assert each.others[place].recomputed > 3 * each.on["sink_window"].recomputed


@pytest.mark.parametrize("talk", TALKS)
def test_memory_that_is_not_replayed_costs_the_answer_behind_it(found: dict[str, Found], talk: str) -> None:
    """Beside the last user text, this turn only: the turn before is computed again."""
    each = found[talk]
    once = each.others["beside the last user text, this turn only"]

    assert once.recomputed > each.on["sink_window"].recomputed


@pytest.mark.parametrize("talk", TALKS)
def test_usage_tells_what_vllm_counts(found: dict[str, Found], talk: str) -> None:
    """What the answers say of their prompts is what vLLM's counters grew by."""
    for cost in rows(found[talk]).values():
        assert cost.counted == (cost.prompt, cost.prompt, cost.cached, cost.cached)
