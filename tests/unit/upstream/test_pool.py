"""Which replicas are asked: those that can, as long as there are any; and the names behind which they stand."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import SettingsRefused, UpstreamUnreachable
from gateway.upstream.client import Patience
from gateway.upstream.muster import open_fleet
from gateway.upstream.named import Named
from gateway.upstream.pool import Pool
from gateway.upstream.worker import Worker
from tests.support.workers import quiet_worker, report

KEY = b"conversation"


def up(*models: str, url: str = "", **told: object) -> Worker:
    """A worker that answers."""
    worker = quiet_worker(*models, url=url or f"http://127.0.0.1:{len(models) + 9}/v1", **told)  # type: ignore[arg-type]
    worker.reachable = True
    return worker


def three() -> tuple[Pool, list[Worker]]:
    """A pool and its replicas, as `KEY` ranks them."""
    workers = [up("m", url=f"http://10.0.0.{i}/v1") for i in range(3)]
    pool, found = Pool(workers), list[Worker]()
    while len(found) < 3:
        found.append(pool.choose(KEY, lambda worker: worker not in found))
    return pool, found


def opened(worker: Worker) -> None:
    """Fail until its breaker opens."""
    for _ in range(5):
        worker.standing.breaker.fail()


def test_a_replica_that_takes_nothing_is_passed_over() -> None:
    """One that drains, one whose breaker is open, one that did not answer when it was looked at."""
    pool, (first, second, third) = three()

    first.standing.draining = True
    assert pool.choose(KEY) is second
    opened(second)
    assert pool.choose(KEY) is third
    first.standing.draining = False
    first.reachable = False
    assert pool.choose(KEY) is third


def test_when_nobody_takes_requests_those_that_do_not_drain_are_asked() -> None:
    """It is their answer that the caller gets."""
    pool, (first, second, third) = three()
    first.standing.draining = True
    second.reachable = third.reachable = False

    assert pool.choose(KEY) is second
    second.standing.draining = third.standing.draining = True
    assert pool.choose(KEY) is first


def test_a_replica_that_does_not_list_the_model_is_passed_over() -> None:
    """Also where the one that does is down for now: another one would refuse for sure."""
    pool, (first, second, third) = three()
    third.reachable = False
    second.cards = first.cards = {}

    assert pool.choose(KEY, lambda worker: "m" in worker.cards) is third
    assert pool.choose(KEY, lambda worker: "n" in worker.cards) is first


def test_a_request_without_a_conversation_goes_where_less_is_done() -> None:
    """Of two that are drawn."""
    workers = [up("m", url=f"http://10.0.0.{i}/v1") for i in range(2)]
    workers[0].standing.running = 5

    assert {Pool(workers).choose(None) for _ in range(20)} == {workers[1]}


def test_a_crowd_sends_a_conversation_to_the_next_in_rank() -> None:
    """And so does everybody else's crowd: the next one is as steady as the first."""
    pool, (first, second, _) = three()
    first.standing.running = 40

    assert [pool.choose(KEY) for _ in range(3)] == [second] * 3


def test_only_a_replica_of_the_same_kind_takes_over() -> None:
    """The prompt was written for its policy, and not for another one; one that drains takes nothing over."""
    pool, (first, second, third) = three()
    first.kv = third.kv = report()
    second.kv = report(policy="full")

    assert pool.instead(KEY, first, {first}, lambda _: True) is third
    third.standing.draining = True
    assert pool.instead(KEY, first, {first}, lambda _: True) is None


def test_reports_that_differ_in_processes_only_are_of_one_kind() -> None:
    """Every process has an id of its own."""
    one, other = up("m", kv=report()), up("m", kv=report(processes=[]))

    assert one.likeness == other.likeness != up("m", kv=report(block=64)).likeness


class Directory:
    """DNS, as the test tells it; None is a failure."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] | None = addresses

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """What a resolver is."""
        assert (host, port) == ("workers", 8000)
        if self.addresses is None:
            raise OSError
        return self.addresses


def named(directory: Directory, url: str = "http://workers:8000/v1") -> Named:
    """Replicas by name."""
    return Named(url, lambda at, _: quiet_worker("m", url=at), directory)


async def test_replicas_come_and_go_with_their_addresses() -> None:
    """Those that stay are the same ones, with all that is known of them."""
    directory = Directory("10.0.0.1", "10.0.0.2")
    found = named(directory)
    await found.look()
    before = found.here
    directory.addresses = ["fd00::3", "10.0.0.2", "10.0.0.2"]
    await found.look()

    assert [worker.url for worker in before] == ["http://10.0.0.1:8000/v1", "http://10.0.0.2:8000/v1"]
    assert [worker.url for worker in found.here] == ["http://10.0.0.2:8000/v1", "http://[fd00::3]:8000/v1"]
    assert found.here[0] is before[1]


@pytest.mark.parametrize("answer", [None, ()])
async def test_a_look_up_without_an_answer_changes_nothing(answer: Sequence[str] | None) -> None:
    """A name server that is down takes no worker down."""
    directory = Directory("10.0.0.1")
    found = named(directory)
    await found.look()
    before, directory.addresses = found.here, answer
    await found.look()

    assert found.here == before


async def test_a_replica_that_returns_while_it_still_answers_is_the_same_one() -> None:
    """What runs there is still counted."""
    directory = Directory("10.0.0.1", "10.0.0.2")
    found = named(directory)
    await found.look()
    before = found.here
    before[0].standing.running = 1
    directory.addresses = ["10.0.0.2"]
    await found.look()
    directory.addresses = ["10.0.0.1", "10.0.0.2"]
    await found.look()

    assert found.here == before


async def test_credentials_stay_in_the_url_and_are_not_shown() -> None:
    """As with any other worker."""
    found = named(Directory("10.0.0.1"), "http://ada:pass@workers:8000/v1")
    await found.look()

    assert (found.here[0].url, found.here[0].shown) == ("http://ada:pass@10.0.0.1:8000/v1", "http://10.0.0.1:8000/v1")


def test_nobody_behind_a_name_is_a_worker_that_cannot_be_reached() -> None:
    """502, which clients try again."""
    pool = Pool((), [named(Directory())])

    with pytest.raises(UpstreamUnreachable, match="resolve"):
        pool.choose(KEY)
    with pytest.raises(UpstreamUnreachable, match="resolve"):
        asyncio.run(pool.ping())


@pytest.mark.parametrize("url", ["http://workers:none/v1", "http://workers/v1?x=1", "http:///v1"])
async def test_a_name_that_cannot_be_one_is_refused(url: str) -> None:
    """Before anything starts, not when it has its first address."""
    with pytest.raises(SettingsRefused):
        async with open_fleet([f"dns+{url}"], "", {}, Patience(1.0, 1.0, 1.0), resolve=Directory()):
            pass
