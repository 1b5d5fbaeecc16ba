"""A choice of policy: what is refused, what the refusal says would work, and how much a request then holds."""

import random
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.kv import BLOCKS, choices
from workers.kv.choice import Choice, Engine, chosen, held, kind
from workers.kv.errors import PolicyRefused
from workers.kv.knobs import Knobs
from workers.kv.policies import TABLE
from workers.kv.policies.base import Policy
from workers.kv.positions import shift
from workers.kv.stream import Retained, Stream, blocks, joined, runs, within

BOUNDED = [name for name in TABLE if name not in ("full", "duo")]
LENGTHS = ("sink", "window", "budget", "vision_window")
SCHEDULES = 1000


def refusal(choice: Choice, engine: Engine) -> str:
    """Why the engine cannot hold the choice; empty if it can."""
    try:
        choice.check(engine)
    except PolicyRefused as refused:
        return str(refused)
    return ""


def numbers(text: str) -> list[int]:
    """The whole numbers in a text."""
    return [int(each) for each in re.findall(r"-?\d+", text)]


def required(name: str) -> dict[str, Any]:
    """Values for the knobs that must be given."""
    values: dict[str, Any] = {"heads": {0: (0,)}, "vision_tokens": (1,)}
    return {knob: values[knob] for knob, default in kind(name).KNOBS.items() if default is ...}


@st.composite
def smaller(draw: st.DrawFn, choice: Choice, block: int, total: int) -> Choice:
    """The same policy with lengths of at most `total` tokens together and none longer than before, in whole blocks."""
    given = choice.knobs.given()
    least = {knob: int(knob in ("window", "budget")) for knob in LENGTHS if knob in given}
    left = total // block - sum(least.values())
    for knob in least:
        had = -(-getattr(choice.knobs, knob) // block)
        more = draw(st.integers(0, min(had - least[knob], left)))
        given[knob] = (least[knob] + more) * block
        left -= more
    return chosen(choice.name, given)


@given(st.text())
def test_a_name_that_is_none_is_refused_with_those_that_are(name: str) -> None:
    """One line, all names."""
    assume(name not in TABLE)

    with pytest.raises(PolicyRefused) as refused:
        chosen(name, {})

    assert str(refused.value).endswith(f"there are {', '.join(TABLE)}.")


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_a_knob_that_the_policy_lacks_is_refused_with_those_that_it_has(name: str, data: st.DataObject) -> None:
    """Another policy's knob too: a knob that does nothing would mislead."""
    takes = kind(name).KNOBS
    knob = data.draw(st.sampled_from([*Knobs.model_fields, "windows"]).filter(lambda knob: knob not in takes))

    with pytest.raises(PolicyRefused) as refused:
        chosen(name, {**required(name), knob: 64})

    assert repr(knob) in str(refused.value)
    assert ", ".join(takes) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("sink_window", {"sink": -1}),
        ("sink_window", {"window": 0}),
        ("sink_window", {"window": "wide"}),
        ("surprisal", {"decay": 1.5}),
        ("surprisal", {"decay": 0}),
        ("block_recall", {"select": "best"}),
        ("block_recall", {"mass": 2}),
        ("modality_window", {}),
        ("duo", {}),
    ],
)
def test_a_knob_out_of_range_or_missing_is_refused_by_name(name: str, knobs: dict[str, Any]) -> None:
    """With what is wrong about it."""
    missing = next((knob for knob, default in kind(name).KNOBS.items() if default is ...), "")

    with pytest.raises(PolicyRefused, match=next(iter(knobs), missing)):
        chosen(name, knobs)


@pytest.mark.parametrize("name", TABLE)
def test_a_knob_that_is_none_was_not_given(name: str) -> None:
    """The policy's default holds, as the schema says."""
    nothing = {knob: None for knob, default in kind(name).KNOBS.items() if default is not ...}

    assert chosen(name, {**required(name), **nothing}) == chosen(name, required(name))


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_two_keys_are_equal_exactly_if_the_choices_are(name: str, data: st.DataObject) -> None:
    """A key that is shared is KV that is shared."""
    one, other = data.draw(choices(name, 16)), data.draw(choices(data.draw(st.sampled_from([*TABLE])), 16))
    again = chosen(name, one.knobs.given())

    assert (one.key == other.key) == (one == other)
    assert (again.key, again.policy(16)) == (one.key, one.policy(16))


def test_the_order_in_which_heads_are_named_means_nothing() -> None:
    """Nor whether one is named twice: the policy is the same, and so is its key."""
    one = chosen("duo", {"heads": {0: (0, 1), 2: (1,)}})
    other = chosen("duo", {"heads": {2: (1, 1), 0: (1, 0)}})

    assert one.policy(32) == other.policy(32)
    assert one.key == other.key


@pytest.mark.parametrize("knob", ["window", "vision_window"])
@given(st.integers(1, 1000), BLOCKS)
def test_a_window_is_whole_blocks_or_told_the_nearest_that_are(knob: str, tokens: int, block: int) -> None:
    """One above, and one below unless that were nothing."""
    engine = Engine(block=block, longest=1 << 20, chunk=64)
    choice = chosen("modality_window", {"vision_tokens": (1,), "sink": 0, "window": block, knob: tokens})
    said = refusal(choice, engine)
    near = [number for number in (tokens // block * block, -(-tokens // block) * block) if number]

    assert bool(said) == bool(tokens % block)
    assert not said or numbers(said)[2:] == near


@pytest.mark.parametrize("name", BOUNDED)
@given(st.data())
def test_what_outgrows_the_training_is_told_how_much_fits(name: str, data: st.DataObject) -> None:
    """So much does fit, however it is divided, and nothing is refused that fits."""
    block = data.draw(BLOCKS)
    choice = data.draw(choices(name, block))
    engine = Engine(block=block, longest=1 << 16, chunk=64, trained=data.draw(st.integers(6 * block, 40 * block)))
    policy, said = choice.policy(block), refusal(choice, engine)
    reads = ((policy.most() or 0) + policy.room()) * block

    assert bool(said) == (reads > engine.trained // block * block - 2 * block)
    if said:
        assert numbers(said)[-1] < reads
        assert not refusal(data.draw(smaller(choice, block, numbers(said)[-1])), engine)


@pytest.mark.parametrize("name", BOUNDED)
@given(st.integers(1, 127))
def test_a_training_too_short_for_any_policy_gets_advice_that_can_be_followed(name: str, trained: int) -> None:
    """A shorter context if not even two blocks would fit."""
    choice = chosen(name, required(name))
    said = refusal(choice, Engine(block=32, longest=4096, chunk=64, trained=trained))

    assert said.endswith(f"--max-model-len {trained} would work.")


@pytest.mark.parametrize("name", TABLE)
def test_inside_the_trained_context_everything_fits(name: str) -> None:
    """Also what reads everything; beyond it that is refused with the length that works."""
    choice = chosen(name, required(name))
    inside = Engine(block=32, longest=8192, chunk=64, trained=8192)

    assert not refusal(choice, inside)
    if choice.policy(32).most() is None:
        assert "--max-model-len 8192 would work" in refusal(choice, replace(inside, longest=8193))


@pytest.mark.parametrize("name", TABLE)
@given(st.data())
def test_what_is_larger_than_the_pool_is_told_what_fits(name: str, data: st.DataObject) -> None:
    """A setting that the message names does work; nothing is refused that the pool can hold."""
    block = data.draw(BLOCKS)
    choice = data.draw(choices(name, block))
    trained = data.draw(st.sampled_from([0, 40 * block])) if name in BOUNDED else 0
    engine = Engine(
        block, data.draw(st.integers(1, 6400)), data.draw(st.integers(1, 1024)), trained, data.draw(st.integers(2, 60))
    )
    said = refusal(choice, engine)
    needed = held(choice.policy(block), block, engine.chunk, engine.longest, engine.trained)

    assert bool(said) == (needed >= engine.pool)
    if "context" in said:
        assert not refusal(choice, replace(engine, longest=numbers(said)[-1]))
    elif "together" in said:
        assert not refusal(data.draw(smaller(choice, block, numbers(said)[-1])), engine)
    elif said:
        assert not refusal(choice, replace(engine, pool=numbers(said)[-2]))


class Request:
    """What a block manager does for one request, from the policy's answers alone."""

    def __init__(self, policy: Policy, block: int, engine: Engine, chance: random.Random) -> None:
        self._policy, self._block, self._engine, self._chance = policy, block, engine, chance
        everything = range(-(-engine.longest // block) + 1)
        self._vision = runs(at for at in everything if chance.random() < 0.4)
        self._prompt = chance.randrange(1, engine.longest + 1)
        self.processed = self.scheduled = 0
        self._forget()

    def _forget(self) -> None:
        self._live: Retained = ()
        self._length = self._copies = 0
        self.processed = self.scheduled = 0

    @property
    def held(self) -> int:
        """Blocks in its table and for its copies."""
        return len(list(blocks(self._live))) + self._copies

    def step(self) -> None:
        """Give back what is no longer read, then take blocks for as many tokens as are let in."""
        room = min(self._engine.chunk - (self.scheduled - self.processed), self._engine.longest - self.scheduled)
        more = self._chance.choice([0, 1, room, self._chance.randrange(room + 1)])
        query = self.processed // self._block
        surprise = {at: self._chance.random() for at in blocks(self._live) if self._chance.random() < 0.8}
        kept = self._policy.retained(query, Stream(self._live, self._vision, surprise, self._prompt))
        stay = {*blocks(kept), *range(query + 1, self._length)}
        live = [at for at in blocks(self._live) if at in stay]
        self.scheduled += min(more, room)
        until = -(-self.scheduled // self._block)
        self._live = joined((*runs(live), range(self._length, until)))
        self._length = max(self._length, until)
        self._copies = max(self._copies, self._copies_for(max(0, self.scheduled - 1) // self._block))

    def _copies_for(self, query: int) -> int:
        stream = Stream(prompt=self._prompt)
        back = self._policy.room() if self._policy.absent(query, stream) else 0
        moved = shift(query, self._policy, self._block, self._engine.trained)
        return back + (self._policy.apart() if moved else 0)

    def go_on(self) -> None:
        """The steps in flight come back, some of them, or the request is preempted."""
        if self._chance.random() < 0.03:
            self._forget()
        else:
            self.processed = self._chance.choice([self.scheduled, self._chance.randint(self.processed, self.scheduled)])


def drawn(chance: random.Random, name: str, block: int) -> dict[str, Any]:
    """Knobs by chance."""
    lengths = {"sink": chance.randrange(100), "budget": chance.randrange(1, 200)}
    windows = {"window": chance.randint(1, 5) * block, "vision_window": chance.randint(0, 5) * block}
    others = {"when": chance.choice(["question", "always"])}
    return {knob: value for knob, value in {**lengths, **windows, **others}.items() if knob in kind(name).KNOBS}


def test_no_schedule_makes_a_request_hold_more_than_was_said() -> None:
    """Chunks of any size, decoding, steps in flight, preemption: what admission counts on is never exceeded."""
    tight = 0
    for seed in range(SCHEDULES):
        chance = random.Random(seed)
        name, block = chance.choice([*TABLE]), chance.choice([16, 32])
        choice = chosen(name, {**required(name), **drawn(chance, name, block)})
        policy, longest = choice.policy(block), chance.randrange(1, 60 * block)
        trained = chance.choice([0, chance.randint(20, 40) * block])
        engine = Engine(block, longest, chance.randrange(1, 20 * block), trained)
        if refusal(choice, engine):
            continue
        bound = held(policy, block, engine.chunk, longest, trained)
        request, most = Request(policy, block, engine, chance), 0
        for _ in range(25):
            request.step()
            most = max(most, request.held)
            request.go_on()
        tight += most == bound

        assert most <= bound, (seed, choice, engine)

    assert tight > SCHEDULES // 20  # the bound is one that is reached


@pytest.mark.parametrize("name", BOUNDED)
def test_a_live_request_keeps_all_that_its_next_query_reads(name: str) -> None:
    """What was given back was never needed: a manager that only gives back ends with exactly what is retained."""
    choice = chosen(name, {**required(name), "sink": 40, "window": 96})
    policy, live = choice.policy(32), joined([range(1)])
    for query in range(1, 60):
        live = joined((*live, range(query, query + 1)))
        read = policy.retained(query, Stream(live, vision=runs(range(0, query, 3))))

        assert all(within(live, part.start, part.stop) == (part,) for part in read)
        live = read
