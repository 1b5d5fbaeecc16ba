"""What every KV policy of the table promises, whatever its knobs and the stream: what it keeps, and what it never keeps
again."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.kv import BLOCKS, HEADS, LONGEST, Asked, asked, choices, streams
from workers.kv.choice import kind
from workers.kv.policies import TABLE
from workers.kv.policies.duo import Duo
from workers.kv.policies.full import Full
from workers.kv.policies.sink_window import SinkWindow
from workers.kv.stream import blocks, count, joined

POSITIONAL = [name for name in TABLE if kind(name).POSITIONAL]
WINDOWED = [name for name in TABLE if "window" in kind(name).KNOBS and "vision_window" not in kind(name).KNOBS]

_ASK = """
import sys
from pickle import loads
for policy, query, stream in loads(sys.stdin.buffer.read()):
    print(policy.retained(query, stream), policy.absent(query, stream))
"""


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_a_query_reads_its_own_block_and_none_that_comes_later(name: str, data: st.DataObject) -> None:
    """In ascending runs that neither touch nor overlap."""
    case = data.draw(asked(name))

    assert case.query in case.kept
    assert max(case.kept) == case.query
    assert joined(case.retained) == case.retained


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_no_more_is_kept_than_the_policy_says(name: str, data: st.DataObject) -> None:
    """Neither at all, nor apart from the query's own run."""
    case = data.draw(asked(name))
    most = case.policy.most()

    assert most is None or count(case.retained) <= most + 1
    assert count(case.retained[:-1]) <= case.policy.apart()


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_sinks_are_always_kept(name: str, data: st.DataObject) -> None:
    """All blocks that hold a token of the sink, as far as the stream has come."""
    case = data.draw(asked(name))

    assert set(range(min(case.knob("sink"), case.query + 1))) <= case.kept


@pytest.mark.parametrize("name", WINDOWED)
@given(st.data())
def test_recent_blocks_are_always_kept(name: str, data: st.DataObject) -> None:
    """The window's blocks before the query's own."""
    case = data.draw(asked(name))

    assert set(range(max(0, case.query - case.knob("window")), case.query)) <= case.kept


@pytest.mark.parametrize("name", POSITIONAL)
@given(st.data())
def test_what_is_not_kept_once_is_never_asked_for_again(name: str, data: st.DataObject) -> None:
    """So that a block can be given back at once."""
    case = data.draw(asked(name))
    later = replace(case, query=data.draw(st.integers(case.query, LONGEST)))

    assert later.kept & set(range(case.query + 1)) <= case.kept


@pytest.mark.parametrize("name", POSITIONAL)
@given(st.data())
def test_a_positional_policy_does_not_ask_what_is_live(name: str, data: st.DataObject) -> None:
    """Nor what surprised: its answer is the same however a stream was cut into steps."""
    case = data.draw(asked(name))
    other = data.draw(streams(case.block))

    assert replace(case, stream=replace(case.stream, live=other.live, surprise=other.surprise)).kept == case.kept


@pytest.mark.parametrize("name", POSITIONAL)
@given(st.data())
def test_a_positional_policy_does_not_ask_what_comes_later(name: str, data: st.DataObject) -> None:
    """Else what a block holds would not follow from its prefix."""
    case = data.draw(asked(name))
    vision = tuple(range(part.start, min(part.stop, case.query)) for part in case.stream.vision)

    assert replace(case, stream=replace(case.stream, vision=joined(vision))).kept == case.kept


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_the_same_question_gets_the_same_answer(name: str, data: st.DataObject) -> None:
    """Asked again, after other questions, of a policy that has travelled and of one built anew."""
    case = data.draw(asked(name))
    first = case.retained
    case.policy.retained(LONGEST - case.query, case.stream)

    assert case.retained == first
    for other in (pickle.loads(pickle.dumps(case.policy)), case.choice.policy(case.block)):
        assert (other, replace(case, policy=other).retained) == (case.policy, first)


def test_every_process_gets_the_same_answer() -> None:
    """Also one that orders its sets and dicts otherwise."""
    cases: list[Asked] = []

    @given(st.data())
    def collect(data: st.DataObject) -> None:
        cases.extend(data.draw(asked(name)) for name in TABLE)

    collect()
    told = pickle.dumps([(case.policy, case.query, case.stream) for case in cases])
    said = [
        subprocess.run(
            [sys.executable, "-c", _ASK], input=told, capture_output=True, check=True, env={**os.environ, **seed}
        ).stdout
        for seed in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    ]
    here = "".join(f"{case.retained} {case.policy.absent(case.query, case.stream)}\n" for case in cases)

    assert said == [here.encode()] * 2


@given(asked("surprisal"))
def test_surprisal_keeps_the_best_of_what_is_live(case: Asked) -> None:
    """Between sinks and window only live blocks, as many as the budget holds, none worse than one that goes."""
    low, high = min(case.knob("sink"), case.query), max(0, case.query - case.knob("window"))
    live = range(case.query) if case.stream.live is None else blocks(case.stream.live)
    middle = {block for block in live if low <= block < high}
    kept = case.kept & set(range(low, high))
    score = {block: case.stream.surprise.get(block, 0.0) for block in middle}

    assert kept <= middle
    assert len(kept) == min(len(middle), case.knob("budget"))
    assert min((score[block] for block in kept), default=0) >= max((score[block] for block in middle - kept), default=0)


@given(asked("surprisal"), st.data())
def test_surprisal_never_asks_for_what_it_gave_back(case: Asked, data: st.DataObject) -> None:
    """Whatever the scores of later: the stream says what is still live."""
    query = data.draw(st.integers(case.query, LONGEST))
    live = joined((*case.retained, range(case.query + 1, query + 1)))
    surprise = data.draw(streams(case.block)).surprise
    later = replace(case, query=query, stream=replace(case.stream, live=live, surprise=surprise))

    assert later.kept & set(range(case.query + 1)) <= case.kept


@given(asked("modality_window"))
def test_each_kind_has_its_own_window(case: Asked) -> None:
    """Behind the sinks the last vision blocks and the last text blocks, as many of each as its window holds."""
    behind = range(min(case.knob("sink"), case.query), case.query)
    vision = [block for block in behind if block in set(blocks(case.stream.vision))]
    text = [block for block in behind if block not in vision]

    assert case.kept & set(vision) == set(vision[max(0, len(vision) - case.knob("vision_window")) :])
    assert case.kept & set(text) == set(text[max(0, len(text) - case.knob("window")) :])


@given(HEADS, st.integers(0, 3), st.integers(1, 4))
def test_duo_has_one_policy_for_each_head(heads: dict[int, tuple[int, ...]], layer: int, number: int) -> None:
    """Full attention exactly for the heads that are named."""
    policy = Duo(2, 3, tuple(heads.items())).at(layer, number)

    assert [isinstance(each, Full) for each in policy] == [head in heads.get(layer, ()) for head in range(number)]
    assert all(isinstance(each, Full) or each == SinkWindow(2, 3) for each in policy)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "duo"])
@given(st.data())
def test_others_treat_all_heads_alike(name: str, data: st.DataObject) -> None:
    """Each head of a layer follows the policy itself."""
    policy = data.draw(choices(name, data.draw(BLOCKS))).policy(16)

    assert policy.at(0, 3) == (policy,) * 3


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_what_may_come_back_is_what_is_not_kept(name: str, data: st.DataObject) -> None:
    """All of it or none, and none without room for it."""
    case = data.draw(asked(name))
    absent = set(case.policy.absent(case.query, case.stream))

    assert not absent & case.kept
    assert not absent or absent | case.kept == set(range(case.query + 1))
    assert not absent or case.policy.room() > 0


@given(asked("block_recall"))
def test_a_question_is_where_recall_begins(case: Asked) -> None:
    """From the prompt's last block on, or everywhere; then once for a question and its answer, or once a block."""
    asking = case.choice.knobs.when == "always" or case.query >= (case.stream.prompt - 1) // case.block
    gone = case.kept != set(range(case.query + 1))
    occasions = {case.policy.occasion(query, case.stream) for query in range(LONGEST)}

    assert bool(case.policy.absent(case.query, case.stream)) == (asking and gone)
    assert len(occasions) == (LONGEST if case.choice.knobs.when == "always" else 1)
