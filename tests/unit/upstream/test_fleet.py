"""Which worker answers for a name: as the list of models shows it, under the policy that it stands for, or nobody."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from gateway.errors import BodyTooLarge, ModelNotFound, NotSpliceable, UpstreamUnreachable
from gateway.upstream.aliases import Alias
from gateway.upstream.fleet import Fleet
from gateway.upstream.pool import Pool
from gateway.upstream.worker import Worker
from tests.support.workers import quiet_worker, report

CHAT = "/chat/completions"


def fleet(*workers: Worker, homes: Mapping[str, Worker] = {}, **aliases: Alias) -> Fleet:
    """These workers, the first one the default, and these aliases."""
    pools = {worker: Pool((worker,)) for worker in workers}
    return Fleet(tuple(pools.values()), aliases, {name: pools[home] for name, home in homes.items()})


def body(model: str) -> bytes:
    """A body for this model."""
    return orjson.dumps({"model": model, "messages": []})


def routed(ours: Fleet, name: str, path: str = CHAT) -> tuple[Worker, Any]:
    """Who answers for a name, and what that worker is sent, parsed."""
    worker, sent = went(ours, body(name), path)
    return worker, orjson.loads(sent)


def went(ours: Fleet, sent: bytes, path: str = CHAT) -> tuple[Worker, bytes]:
    """Who gets a body, and as what."""
    passage, body = ours.route(path, sent)
    assert isinstance(body, bytes)
    return passage.worker, body


def test_a_name_that_is_no_alias_goes_as_it_is_to_whom_the_list_shows() -> None:
    """The default worker's names are its own; another worker's lead there; unknown ones are the default's to refuse."""
    default, other = quiet_worker("m", "both"), quiet_worker("n", "both")
    ours = fleet(default, other, a=Alias("http://w/v1"), homes={"a": other})

    chosen = {name: went(ours, body(name)) for name in ("m", "both", "n", "unknown")}

    assert {name: worker for name, (worker, _) in chosen.items()} == {
        "m": default,
        "both": default,
        "n": other,
        "unknown": default,
    }
    assert all(sent == body(name) for name, (_, sent) in chosen.items())


def test_while_the_default_worker_is_unknown_it_may_have_any_name() -> None:
    """Another worker's model of the same name might have another policy."""
    default, other = quiet_worker(told=False), quiet_worker("n")

    assert went(fleet(default, other, x=Alias(policy="full")), body("n"))[0] is default


def test_an_alias_leads_to_its_worker_and_the_model_there() -> None:
    """Its first one where none is named; without a policy nothing is asked for."""
    default, other = quiet_worker("m"), quiet_worker("x", "y")
    ours = fleet(default, other, a=Alias("u"), b=Alias("u", model="y"), homes={"a": other, "b": other})

    assert went(ours, body("a")) == (other, body("x"))
    assert went(ours, body("b")) == (other, body("y"))


def test_a_policy_is_asked_for_where_the_worker_offers_it_per_request() -> None:
    """Its own policy is not asked for where requests cannot choose."""
    open, shut = quiet_worker("m", kv=report()), quiet_worker("n", kv=report(per_request=()))
    ours = fleet(open, shut, a=Alias(policy="full"), b=Alias("u", policy="sink_window"), homes={"b": shut})

    assert routed(ours, "a")[1]["vllm_xargs"] == {"kv_policy": "full"}
    assert went(ours, body("b")) == (shut, body("n"))


def test_a_policy_is_asked_for_only_where_text_is_generated() -> None:
    """An embedding has no KV that outlives it."""
    ours = fleet(quiet_worker("m", kv=report()), a=Alias(policy="sink_window"))
    generating = ("/chat/completions", "/completions?x=1", "/responses", "/messages")

    asked = {path: "vllm_xargs" in routed(ours, "a", path)[1] for path in (*generating, "/embeddings")}

    assert asked == {**dict.fromkeys(generating, True), "/embeddings": False}


def test_a_policy_alone_finds_its_worker() -> None:
    """One whose own policy it is before one that would have to be asked, the default one before others."""
    asked = quiet_worker("a", kv=report(policy="full", knobs={}))
    own, later = quiet_worker("b", kv=report()), quiet_worker("c", kv=report())
    stock = quiet_worker("d")

    assert fleet(stock, asked, own, later, x=Alias(policy="sink_window")).seat("x").worker is own
    assert fleet(stock, asked, x=Alias(policy="sink_window")).seat("x").worker is asked
    assert fleet(later, own, x=Alias(policy="sink_window")).seat("x").worker is later


def test_a_policy_and_a_model_find_a_worker_that_has_both() -> None:
    """The model is asked for by its own name."""
    small, large = quiet_worker("small", kv=report()), quiet_worker("base", "large", kv=report())

    seat = fleet(small, large, x=Alias(policy="sink_window", model="large")).seat("x")

    assert (seat.worker, seat.model) == (large, "large")


@pytest.mark.parametrize("alias", [Alias(policy="surprisal"), Alias(policy="sink_window", model="other")])
def test_what_nobody_offers_is_not_found(alias: Alias) -> None:
    """A 404 that names the alias, and never another policy."""
    ours = fleet(quiet_worker("m", kv=report()), quiet_worker("n"), x=alias)

    with pytest.raises(ModelNotFound, match="'x'") as refused:
        ours.route(CHAT, body("x"))
    assert (refused.value.status, refused.value.code, refused.value.param) == (404, "model_not_found", "model")


def test_a_worker_that_lost_its_policy_does_not_answer_for_it() -> None:
    """Restarted as a stock one, it is asked for nothing that it would ignore."""
    home = quiet_worker("m")

    with pytest.raises(ModelNotFound):
        fleet(quiet_worker("d"), home, x=Alias("u", policy="sink_window"), homes={"x": home}).seat("x")


def test_while_a_worker_is_unknown_nothing_is_said_to_be_missing() -> None:
    """It may turn out to have the policy: 502, which clients try again."""
    ours = fleet(quiet_worker("m"), quiet_worker(told=False), x=Alias(policy="sink_window"))

    with pytest.raises(UpstreamUnreachable):
        ours.route(CHAT, body("x"))


def test_an_alias_may_stand_for_a_model_of_the_same_name() -> None:
    """Then the name has the policy, for everybody who asks for it."""
    worker = quiet_worker("m", kv=report(policy="full", knobs={}))

    _, sent = routed(fleet(worker, m=Alias(policy="sink_window")), "m")

    assert sent == {"model": "m", "messages": [], "vllm_xargs": {"kv_policy": "sink_window"}}


async def _pieces() -> AsyncIterator[bytes]:
    yield b""


def test_a_body_that_is_not_held_is_refused() -> None:
    """Its model cannot be read, and it may be an alias."""
    with pytest.raises(BodyTooLarge):
        fleet(quiet_worker("m"), x=Alias(policy="full")).route(CHAT, _pieces())


def test_an_ambiguous_body_is_refused_if_it_names_an_alias() -> None:
    """Any other one is the worker's to judge."""
    ours = fleet(quiet_worker("m", kv=report()), x=Alias(policy="full"))

    with pytest.raises(NotSpliceable):
        ours.route(CHAT, b'{"model":"x","model":"x"}')
    assert went(ours, b'{"model":"m","model":"m"}') == (ours.workers[0], b'{"model":"m","model":"m"}')


@pytest.mark.parametrize(("kv", "aliases", "speaks"), [(False, False, False), (True, False, True), (False, True, True)])
def test_the_list_is_ours_to_tell_where_the_worker_s_own_would_not_do(kv: bool, aliases: bool, speaks: bool) -> None:
    """With an alias or a policy to show."""
    worker = quiet_worker("m", kv=report() if kv else None)

    assert Fleet((Pool((worker,)),), {"x": Alias(policy="full")} if aliases else {}, {}).speaks is speaks
