"""What a worker told, and what follows: which policies a request may have there, and which sink it has anyway."""

from typing import Any

import pytest

from gateway.upstream.worker import Kv
from tests.support.workers import quiet_worker, report


@pytest.mark.parametrize(
    ("kv", "xargs", "sink"),
    [
        (None, None, None),
        (report(), None, 32),
        (report(), {"kv_window": 512}, 32),
        (report(), {"kv_sink": 64}, None),
        (report(), {"kv_policy": "full"}, None),
        (report(), {"kv_policy": "sink_window"}, 32),
        (report(), {"kv_policy": "surprisal"}, None),
        (report(), {"kv_policy": 7}, None),
        (report(), [], None),
        (report(per_request=("full",)), None, None),
        (report(policy="full", knobs={}), None, None),
        (report(policy="full", knobs={}), {"kv_policy": "sink_window"}, 0),
        (report(policy="surprisal", knobs={"sink": 64}, per_request=("surprisal",)), None, 64),
        (report(policy="surprisal", knobs={"sink": 64}), {"kv_policy": "sink_window"}, 64),
        (report(policy="duo", knobs={"window": 64}, per_request=("duo",)), None, None),
    ],
)
def test_the_sink_that_a_request_has_anyway(kv: Kv | None, xargs: Any, sink: int | None) -> None:
    """Where it may choose another one; None for a stock worker, a policy without sinks, and who has chosen."""
    assert quiet_worker("m", kv=kv).sink(xargs) == sink


def test_a_worker_offers_its_own_policy_and_those_that_may_be_asked_for() -> None:
    """A stock worker offers none, not even full attention: it does not say so."""
    worker = quiet_worker("m", kv=report(policy="duo", per_request=("full",)))

    assert [worker.offers(name) for name in ("duo", "full", "sink_window")] == [True, True, False]
    assert not quiet_worker("m").offers("full")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:hunter2@w:8000/v1", "http://w:8000/v1"),
        ("https://k@w/proxy/v1", "https://w/proxy/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_an_address_is_shown_without_its_credentials(url: str, shown: str) -> None:
    """User and password."""
    assert quiet_worker(url=url).shown == shown
