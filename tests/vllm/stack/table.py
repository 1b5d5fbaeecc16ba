"""The costs of placements as a Markdown table. Pure."""

from collections.abc import Mapping

from tests.vllm.stack.placements import POLICIES, Cost, Found


def table(found: Mapping[str, Found]) -> str:
    """One row for each placement; a conversation has three columns: tokens of all prompts, those that were
    computed, and how many times the ideal that is."""
    heads = [f"{talk}: prompts | computed | × ideal" for talk in found]
    lines = [f"| where memory goes | {' | '.join(heads)} |", "|---|" + "---:|" * 3 * len(found)]
    for name in rows(next(iter(found.values()))):
        cells = [_cells(rows(each)[name], _ideal(each, name)) for each in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    ideals = [f" | {each.ideal(_OWN):,} | 1.00" for each in found.values()]
    lines.append(f"| *ideal: no memory, and each injected token once* | {' | '.join(ideals).strip()} |")
    lines += ["", *(_about(talk, each) for talk, each in found.items())]
    return "\n".join(lines)


_OWN = next(iter(POLICIES))


def rows(found: Found) -> Mapping[str, Cost]:
    """Every placement that was measured, by what the table calls it."""
    return {
        **{f"none, {policy}": cost for policy, cost in found.off.items()},
        **{f"gateway, {policy}": cost for policy, cost in found.on.items()},
        **found.others,
    }


def _ideal(found: Found, row: str) -> int:
    return found.ideal(next((policy for policy in POLICIES if row.endswith(policy)), _OWN))


def _cells(cost: Cost, ideal: int) -> str:
    return f"{cost.prompt:,} | {cost.recomputed:,} | {cost.recomputed / ideal:.2f}"


def _about(talk: str, found: Found) -> str:
    turns, helped = len(found.memories), sum(bool(each) for each in found.memories)
    calls = found.on[_OWN].calls
    return f"{talk}: {turns} turns, {calls} calls, {helped} turns with memory, {found.injected(_OWN):,} tokens of it."
