"""Sessions whose KV one engine saves and another, with an empty pool, takes up: exactly, and only where it may."""

import json
import os
import random
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.comparing import CLOSE, POLICIES, SMALL, compare
from tests.vllm.engine import BLOCK, Running, engine
from workers.kv.keep import differing, session_key
from workers.vllm_plugin.sessions import session_arguments
from workers.vllm_plugin.sessions.folder import Folder

TENANT = "tenant"
ANSWER = 40
LIVE = (SMALL["sink"] + SMALL["window"]) // BLOCK


@dataclass
class Ask:
    """One request of a session; `tokens` grows from its prompt to prompt and answer."""

    name: str
    tokens: list[int]
    session: str | None = None
    salt: str = TENANT
    arguments: dict[str, Any] = field(default_factory=dict)
    output: Any = None

    def send(self, running: Running, answer: int = ANSWER) -> None:
        """To the engine."""
        from vllm import SamplingParams

        params = SamplingParams(
            temperature=0, max_tokens=answer, ignore_eos=True, logprobs=0, extra_args=self.arguments or None
        )
        prompt = {"prompt_token_ids": list(self.tokens), "cache_salt": self.salt}
        running.llm.llm_engine.add_request(self.name, prompt, params, session_id=self.session)

    def close_to(self, other: "Ask") -> bool:
        """The same tokens, and log p that differs by at most CLOSE."""
        mine, theirs = self.output.outputs[0], other.output.outputs[0]
        pairs = zip(mine.logprobs, theirs.logprobs, strict=True)
        apart = [abs(next(iter(a.values())).logprob - next(iter(b.values())).logprob) for a, b in pairs]
        return bool(mine.token_ids == theirs.token_ids and max(apart) <= CLOSE)


def ask(running: Running, *asks: Ask, answer: int = ANSWER) -> None:
    """All at once, to the end; one step more copies ended sessions out of the pool, as an engine that serves does."""
    by_name = {each.name: each for each in asks}
    for each in asks:
        each.send(running, answer)
    for output in steps(running):
        by_name[output.request_id].output = output
        by_name[output.request_id].tokens += output.outputs[0].token_ids
    running.llm.llm_engine.step()


def steps(running: Running) -> Iterator[Any]:
    """Finished outputs until there is nothing more to do."""
    llm_engine = running.llm.llm_engine
    while llm_engine.has_unfinished_requests():
        yield from (output for output in llm_engine.step() if output.finished)


def words(seed: int, number: int) -> list[int]:
    """Random tokens."""
    chance = random.Random(seed)
    return [chance.randrange(10, 330) for _ in range(number)]


def talk(running: Running, session: str, seed: int, lengths: Sequence[int], **of: Any) -> list[int]:
    """Turns of these many tokens each, and their answers → the whole conversation."""
    said = [0]
    for turn, length in enumerate(lengths):
        each = Ask(f"{session}-{turn}", said + words(seed + turn, length), session, **of)
        ask(running, each)
        said = each.tokens
    return said


def saved(said: Sequence[int]) -> int:
    """Tokens of a conversation that its file stands for: whole blocks, without the last token, never computed."""
    return (len(said) - 1) // BLOCK * BLOCK


def exact(running: Running, model: Path, *asks: Ask) -> bool:
    """Whether the answers are the reference's own, under the policy's mask."""
    prompts = [each.tokens[: -len(each.output.outputs[0].token_ids)] for each in asks]
    _, worst, wrong = compare(running, model, prompts, [each.output for each in asks])
    return worst <= CLOSE and wrong == 0


def file(directory: Path, session: str, salt: str = TENANT) -> Path:
    """Where a session lies."""
    return directory / f"{session_key(salt, session)}.safetensors"


@pytest.mark.parametrize("policy", ["full", "duo"])
def test_a_session_goes_on_on_another_worker(tiny: Path, tmp_path: Path, policy: str) -> None:
    """Its context is loaded, not computed; every token and log p are those of an engine that computed it all."""
    with engine(tiny, policy, POLICIES[policy], **session_arguments(tmp_path)) as running:
        said = talk(running, "s", seed=1, lengths=(500, 60, 60))
    with engine(tiny, policy, POLICIES[policy], **session_arguments(tmp_path)) as running:
        going_on = Ask("going-on", said + words(9, 50), "s")
        stranger = Ask("stranger", said + words(9, 50), "s", salt="another tenant")
        ask(running, going_on, stranger)
        hits = running.metric("vllm:external_prefix_cache_hits")
        right = exact(running, tiny, going_on, stranger)

    assert (going_on.output.num_cached_tokens, stranger.output.num_cached_tokens) == (saved(said), 0)
    assert hits == saved(said)
    assert going_on.close_to(stranger)
    assert right


def test_a_long_session_needs_no_more_room_than_it_reads(tiny: Path, tmp_path: Path) -> None:
    """Three times the pool, ten times the trained length: only sinks and window are saved, loaded and given room."""
    options: dict[str, Any] = {"trained": 256, "num_gpu_blocks_override": 30, **session_arguments(tmp_path)}
    with engine(tiny, "sink_window", SMALL, **options) as running:
        said = talk(running, "s", seed=1, lengths=(2500, 50))
    size = file(tmp_path, "s").stat().st_size
    block = 4 * 2 * 2 * 32 * BLOCK * 4  # layers, keys and values, heads, their size, tokens, bytes
    with engine(tiny, "sink_window", SMALL, **options) as running:
        going_on = Ask("going-on", said + words(9, 50), "s")
        stranger = Ask("stranger", said + words(9, 50), "s", salt="another tenant")
        ask(running, going_on, stranger)
        right = exact(running, tiny, going_on, stranger)

    answer = -(-ANSWER // BLOCK) + 1  # blocks that it may touch: the file can be taken up before it too
    assert LIVE * block < size < (LIVE + answer + 1) * block
    assert (going_on.output.num_cached_tokens, stranger.output.num_cached_tokens) == (saved(said), 0)
    assert going_on.close_to(stranger)
    assert right


@dataclass
class Later:
    """An engine with an empty pool, beside the files of sessions that another one has saved; `said`: by session."""

    running: Running
    directory: Path
    said: dict[str, list[int]]

    def go_on(self, session: str, **of: Any) -> Ask:
        """The session's next turn."""
        return Ask(f"later-{session}-{random.random()}", self.said[session] + words(77, 45), session, **of)

    def count(self, name: str) -> float:
        """One of the connector's counters."""
        return self.running.metric(f"vllm:mneme_session_{name}")


@contextmanager
def open_door(running: Running) -> Iterator[None]:
    """Requests may choose their policy, as at a worker that serves."""
    from workers.vllm_plugin.requests import Door

    Door.open(running.choice, running.llm.llm_engine.vllm_config)
    try:
        yield
    finally:
        Door.own = Door.engine = None


SESSIONS = ("torn", "changed", "forgotten", "edited", "choosy", "longer", "leaving", "one", "two", "three", "four")


@pytest.fixture(scope="module")
def later(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Later]:
    """Eleven sessions of two turns, one whose client went away, one under a policy that keeps no sessions."""
    directory = tmp_path_factory.mktemp("sessions")
    arguments = session_arguments(directory)
    with engine(tiny, "sink_window", SMALL, **arguments) as running, open_door(running):
        said = {name: talk(running, name, 100 * at, (200 + 37 * at, 60)) for at, name in enumerate(SESSIONS)}
        said["surprised"] = talk(running, "surprised", 5, (400,), arguments={"kv_policy": "surprisal"})
        gone = Ask("gone", [0, *words(6, 430)], "gone")
        gone.send(running)
        for _ in range(5):
            running.llm.llm_engine.step()
        running.llm.llm_engine.abort_request(["gone"])
        ask(running)
        said["gone"] = gone.tokens
    with engine(tiny, "sink_window", SMALL, **arguments) as running, open_door(running):
        yield Later(running, directory, said)


def test_sessions_are_taken_up_side_by_side(tiny: Path, later: Later) -> None:
    """Four at once, and two requests that have none."""
    others = [Ask("new", [0, *words(50, 333)], "new"), Ask("no-session", [0, *words(51, 222)])]
    known = [later.go_on(session) for session in ("one", "two", "three", "four")]
    ask(later.running, *known, *others)

    cached = [each.output.num_cached_tokens for each in known]
    assert cached == [saved(later.said[session]) for session in ("one", "two", "three", "four")]
    assert [each.output.num_cached_tokens for each in others] == [0, 0]
    assert exact(later.running, tiny, *known, *others)


def test_only_its_own_part_is_computed(later: Later) -> None:
    """A session goes on from its file's end: the engine reads no query before it."""
    going_on = later.go_on("longer")
    ask(later.running, going_on)

    assert later.running.read_by(going_on.name)[0][0] == saved(later.said["longer"])


def test_a_session_can_be_taken_up_at_its_prompts_end(tiny: Path, later: Later) -> None:
    """The client sends the last answer back in other tokens: what came before it is still loaded."""
    prompt = later.said["edited"][:-ANSWER]
    edited = Ask("edited-later", prompt + words(88, 70), "edited")
    ask(later.running, edited)

    assert edited.output.num_cached_tokens == len(prompt) // BLOCK * BLOCK
    assert exact(later.running, tiny, edited)


def test_a_session_whose_client_went_away_is_saved_too(tiny: Path, later: Later) -> None:
    """With what had been computed until then."""
    going_on = later.go_on("gone")
    ask(later.running, going_on)

    assert going_on.output.num_cached_tokens == len(later.said["gone"]) // BLOCK * BLOCK
    assert exact(later.running, tiny, going_on)


def test_a_torn_file_is_not_loaded(tiny: Path, later: Later) -> None:
    """The request computes everything; the next turn's file takes the torn one's place."""
    path = file(later.directory, "torn")
    os.truncate(path, path.stat().st_size // 2)
    before = later.count("unreadable")
    going_on = later.go_on("torn")
    ask(later.running, going_on)

    assert going_on.output.num_cached_tokens == 0
    assert later.count("unreadable") == before + 1
    assert exact(later.running, tiny, going_on)


def test_changed_bytes_are_never_used(tiny: Path, later: Later) -> None:
    """Its header is whole, so room was made and the load begun: the request starts over and is right."""
    path = file(later.directory, "changed")
    data = bytearray(path.read_bytes())
    data[-100] ^= 255
    path.write_bytes(data)
    before = later.count("unreadable")
    going_on = later.go_on("changed")
    ask(later.running, going_on)

    assert later.count("unreadable") == before + 1
    assert exact(later.running, tiny, going_on)
    assert later.running.read_by(going_on.name)[0][0] == 0


def test_a_request_under_another_policy_takes_nothing_up(tiny: Path, later: Later) -> None:
    """KV that saw a window is not full attention's."""
    before = later.count("mismatched")
    choosy = later.go_on("choosy", arguments={"kv_policy": "full"})
    ask(later.running, choosy)

    assert choosy.output.num_cached_tokens == 0
    assert later.count("mismatched") == before + 1


def test_another_model_is_told_apart(tiny: Path, tmp_path: Path, later: Later) -> None:
    """The same shapes, names and sizes, other weights: a fact that differs, so that nothing would be taken up."""
    from vllm.distributed.kv_transfer import get_kv_transfer_group

    from workers.vllm_plugin.sessions.facts import engine_facts

    other, config = tmp_path / "other", copy(later.running.llm.llm_engine.vllm_config)
    shutil.copytree(tiny, other)
    caches = get_kv_transfer_group()._keeping._caches
    facts = engine_facts(config, caches)
    config.model_config = copy(config.model_config)
    config.model_config.model = str(other)
    copied = engine_facts(config, caches)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-20_000:] = weights[-40_000:-20_000]
    (other / "model.safetensors").write_bytes(weights)

    assert differing(facts, copied) == []
    assert differing(facts, engine_facts(config, caches)) == ["weights"]


def test_a_policy_whose_kv_depends_on_history_keeps_no_session(later: Later) -> None:
    """What surprised is not in the tokens: another engine could not go on from it."""
    assert not file(later.directory, "surprised").exists()


def test_a_forgotten_session_is_computed_anew(later: Later) -> None:
    """By the tenant's salt and the session's id."""
    assert Folder(later.directory, 0).forget(session_key(TENANT, "forgotten"))
    going_on = later.go_on("forgotten")
    ask(later.running, going_on)

    assert going_on.output.num_cached_tokens == 0


def test_a_client_that_leaves_while_its_session_is_read_gives_everything_back(later: Later) -> None:
    """Blocks that were meant for the load, and all that was known of the request."""
    from vllm.distributed.kv_transfer import get_kv_transfer_group

    from workers.vllm_plugin.ledger import LEDGER

    llm_engine = later.running.llm.llm_engine
    pool = llm_engine.engine_core.engine_core.scheduler.kv_cache_manager.block_pool
    ask(later.running)
    free, slow = pool.get_num_free_blocks(), threading.Event()
    get_kv_transfer_group()._keeping._reader.submit(slow.wait)  # the disk is busy
    going_on = later.go_on("leaving")
    going_on.send(later.running)
    llm_engine.step()
    held = free - pool.get_num_free_blocks()
    llm_engine.abort_request([going_on.name])
    slow.set()
    core = llm_engine.engine_core.engine_core
    while core.scheduler.has_requests():
        core.step()

    assert held == LIVE
    assert pool.get_num_free_blocks() == free
    assert LEDGER.entries == {}


def test_what_happened_is_on_the_metrics_page(later: Later) -> None:
    """Sessions, bytes and tokens, by name."""
    assert later.count("saved") > 0
    assert later.count("saved_bytes") > later.count("saved") * 1000
    assert later.count("restored_tokens") > later.count("restored") * BLOCK


def test_session_files_need_no_pickle(later: Later) -> None:
    """A header of JSON and plain bytes: loading one can run nothing."""
    data = file(later.directory, "one").read_bytes()
    told = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])

    assert {part["dtype"] for name, part in told.items() if name != "__metadata__"} == {"U8"}
