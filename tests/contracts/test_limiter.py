"""What every Limiter promises. Limits are such that a unit comes in within a time that a float tells exactly."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.tenants.ports import Limiter
from gateway.tenants.records import Level, Rate
from tests.contracts.conftest import LIMITERS
from tests.support.model import Clock
from tests.support.model_tenants import ModelLimiter

_STEPS = st.one_of(
    st.tuples(st.just("pass"), st.integers(0, 480)),
    st.tuples(st.sampled_from(["take", "correct"]), st.lists(st.integers(0, 70), min_size=2, max_size=2)),
)


async def test_as_many_as_the_limit_fit_into_a_minute(limiter: Limiter, clock: Clock) -> None:
    """Then it says how long to wait, and after that one more fits."""
    told = [(await limiter.take("acme", [Rate("r", 60, 1)]))[0] for _ in range(61)]

    assert [level.left for level in told] == [*range(59, -1, -1), 0]
    assert [level.wait for level in told] == [0.0] * 60 + [1.0]
    clock.now += 1.0
    assert await limiter.take("acme", [Rate("r", 60, 1)]) == [Level(0, 0.0, 60.0)]


async def test_all_are_taken_or_none(limiter: Limiter) -> None:
    """What one bucket refuses costs no other one."""
    await limiter.take("acme", [Rate("a", 60, 10), Rate("b", 60, 55)])
    refused = await limiter.take("acme", [Rate("a", 60, 10), Rate("b", 60, 10)])

    assert refused == [Level(50, 0.0, 10.0), Level(5, 5.0, 55.0)]
    assert await limiter.take("acme", [Rate("a", 60, 0)]) == [Level(50, 0.0, 10.0)]


async def test_buckets_are_apart(limiter: Limiter) -> None:
    """By name and by tenant."""
    await limiter.take("acme", [Rate("a", 60, 60)])

    for tenant, name in (("acme", "b"), ("globex", "a"), ("acme\0", "a"), ("\udc80", "a")):
        assert await limiter.take(tenant, [Rate(name, 60, 60)]) == [Level(0, 0.0, 60.0)]


async def test_a_correction_is_never_refused(limiter: Limiter, clock: Clock) -> None:
    """A debt has to come in first; what is given back beyond the limit is not kept."""
    await limiter.correct("acme", [Rate("r", 60, 90)])
    assert await limiter.take("acme", [Rate("r", 60, 1)]) == [Level(0, 31.0, 90.0)]
    clock.now += 31.0
    assert await limiter.take("acme", [Rate("r", 60, 1)]) == [Level(0, 0.0, 60.0)]
    await limiter.correct("acme", [Rate("r", 60, -500)])
    assert await limiter.take("acme", [Rate("r", 60, 0)]) == [Level(60, 0.0, 0.0)]


@pytest.mark.parametrize("name", ["local", "redis"])
@given(
    steps=st.lists(_STEPS, max_size=25), limits=st.lists(st.sampled_from([15, 60, 120, 480]), min_size=2, max_size=2)
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_limiter_is_a_bucket_that_fills_evenly(
    tmp_path_factory: pytest.TempPathFactory, name: str, steps: list[tuple[str, object]], limits: list[int]
) -> None:
    """Whatever is taken, corrected and waited for, it tells what the model tells."""
    asyncio.run(_compare(name, tmp_path_factory.mktemp("limiter"), steps, limits))


async def _compare(name: str, path: Path, steps: list[tuple[str, object]], limits: list[int]) -> None:
    clock = Clock()
    model = ModelLimiter(clock)
    async with LIMITERS[name](path, clock)() as limiter:
        for step, what in steps:
            if isinstance(what, int):
                clock.now += what / 8
                continue
            assert isinstance(what, list)
            asked = [Rate(f"r{i}", limit, cost) for i, (limit, cost) in enumerate(zip(limits, what, strict=True))]
            if step == "correct":
                asked = [Rate(rate.name, rate.limit, rate.cost - 35) for rate in asked]
                await limiter.correct("acme", asked)
                await model.correct("acme", asked)
            else:
                assert await limiter.take("acme", asked) == await model.take("acme", asked)
