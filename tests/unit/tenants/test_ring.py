"""The ring: whom a key stands for, for how long that is believed, and what happens while the registry is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from gateway.admit import Key, Keyring, Quota, digest
from gateway.errors import KeysUnavailable, NotAuthenticated
from gateway.tenants.meter import Purse
from gateway.tenants.records import UNLIMITED, KeyCard, Kind, Limits, Role, Tenant
from gateway.tenants.ring import MOMENT, Actor, Ring, new_secret
from tests.support.model import Clock
from tests.support.model_tenants import ModelRegistry

STATIC = b"Bearer static"


@dataclass
class House:
    """A ring over a registry, both by one clock; `asked` counts what the registry was asked for keys."""

    ring: Ring
    registry: "Asked"
    clock: Clock

    async def issue(self, kind: Kind = "per-user", role: Role | str = "", **fields: object) -> bytes:
        """A new key, as a header."""
        secret = new_secret()
        card = KeyCard(secret[:8], kind, "" if kind == "admin" else "acme", role, **fields)  # type: ignore[arg-type]
        await self.registry.issue(digest(secret.encode()), card)
        return f"Bearer {secret}".encode()


@dataclass
class Asked(ModelRegistry):
    """Counts."""

    asked: int = 0

    async def find(self, digest: bytes) -> KeyCard | None:
        """See the port."""
        self.asked += 1
        return await super().find(digest)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """With one static key of acme, and no admin key."""
    registry, clock = Asked(), Clock(10_000.0)
    with registry.open():
        yield House(Ring(Keyring({"static": Key("acme", "")}), "", registry, clock, clock), registry, clock)


async def test_a_new_secret_is_random_and_looks_like_a_key() -> None:
    """mn- and 43 characters."""
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert {(len(secret), secret[:3]) for secret in secrets} == {(46, "mn-")}


async def test_a_key_stands_for_its_tenant(house: House) -> None:
    """With its own limits, the tenant's, and the tenant's quota; a single-user key for one user."""
    limits, quota = Limits(5, 6), Quota(7, 8)
    await house.registry.keep_tenant(Tenant("acme", 0.0, limits, quota))
    many, one = await house.issue(limits=Limits(1, 2)), await house.issue("single-user")

    key, purse = await house.ring.find(many)
    assert (key, purse.of_tenant, purse.of_key) == (Key("acme", "", quota), limits, Limits(1, 2))
    assert (await house.ring.find(one))[0] == Key("acme", "acme", quota)
    assert await house.ring.find(STATIC) == (Key("acme", "", quota), Purse("acme", limits, "", UNLIMITED))


@pytest.mark.parametrize("header", [None, b"Bearer", b"Bearer nobody", b"Bearer mn-" + b"x" * 43, b"Basic static"])
async def test_what_nobody_issued_opens_nothing(house: House, header: bytes | None) -> None:
    """Neither /v1 nor, once there is an admin key, /admin."""
    ring = Ring(Keyring({}), "open sesame", house.registry, house.clock, house.clock)
    for opening in (house.ring.find, ring.admin):
        with pytest.raises(NotAuthenticated):
            await opening(header)


async def test_only_what_looks_like_a_key_is_asked_for(house: House) -> None:
    """Guesses of another form do not reach the registry, and a wrong one does once in a moment."""
    for header in (b"Bearer guess", b"Bearer mn-short", *[b"Bearer mn-" + b"x" * 43] * 3):
        with pytest.raises(NotAuthenticated):
            await house.ring.find(header)

    assert house.registry.asked == 1


async def test_a_refusal_does_not_repeat_the_key(house: House) -> None:
    """Errors are shown and logged."""
    with pytest.raises(NotAuthenticated) as refused:
        await house.ring.find(b"Bearer hunter2")

    assert "hunter2" not in refused.value.message


async def test_a_key_is_believed_for_a_moment(house: House) -> None:
    """However often it comes, the registry is asked once; a moment after it was revoked it opens nothing."""
    key = await house.issue()
    for _ in range(5):
        await house.ring.find(key)
    assert house.registry.asked == 1

    await house.registry.end(key[7:15].decode(), 0.0)
    house.clock.now += MOMENT
    with pytest.raises(NotAuthenticated):
        await house.ring.find(key)
    assert MOMENT <= 2.0


async def test_a_key_expires_to_the_second(house: House) -> None:
    """What is believed of it says when."""
    key = await house.issue(until=house.clock.now + 1.0)
    await house.ring.find(key)
    house.clock.now += 1.0

    with pytest.raises(NotAuthenticated):
        await house.ring.find(key)


async def test_without_a_registry_no_issued_key_opens_anything(house: House) -> None:
    """Once its moment is over; the settings' keys go on, with such limits as were last known."""
    await house.registry.keep_tenant(Tenant("acme", 0.0, Limits(1, 1)))
    key, admin = await house.issue(), await house.issue("admin", "read")
    await house.ring.find(key)
    house.registry.alive = False
    await house.ring.find(key)
    house.clock.now += MOMENT

    for asking in (house.ring.find(key), house.ring.admin(admin)):
        with pytest.raises(KeysUnavailable):
            await asking
    assert (await house.ring.find(STATIC))[1] == Purse("acme", Limits(1, 1), "", UNLIMITED)
    fresh = Ring(house.ring.static, "open sesame", house.registry, house.clock, house.clock)
    assert (await fresh.find(STATIC))[1] == Purse("acme", UNLIMITED, "", UNLIMITED)
    assert await fresh.admin(b"Bearer open sesame") == Actor("MNEME_ADMIN_KEY", "operator")


async def test_a_silent_registry_holds_no_static_key_up(house: House) -> None:
    """Not longer than a quarter of a second, and not again for a moment."""
    asked = 0

    @dataclass
    class Silent(ModelRegistry):
        async def tenant(self, name: str) -> Tenant | None:
            nonlocal asked
            asked += 1
            await asyncio.sleep(60)
            return None

    ring = Ring(house.ring.static, "", Silent(), house.clock, house.clock)
    began = time.monotonic()
    for _ in range(5):
        await ring.find(STATIC)

    assert asked == 1
    assert time.monotonic() - began < 2.0


async def test_use_is_noted_once_an_hour(house: House) -> None:
    """As the beginning of that hour; a registry that cannot write closes no door."""
    key = await house.issue()
    seen = []
    for _ in range(3):
        await house.ring.find(key)
        seen.append(next(iter(house.registry.cards.values())).used)
        house.clock.now += 1800.0

    assert seen == [7200.0, 10_800.0, 10_800.0]


@pytest.mark.parametrize("role", ["read", "write", "operator"])
async def test_an_admin_key_has_its_role(house: House, role: Role) -> None:
    """And no place under /v1."""
    key = await house.issue("admin", role)

    assert await house.ring.admin(key) == Actor(key[7:15].decode(), role)
    with pytest.raises(NotAuthenticated):
        await house.ring.find(key)


async def test_a_tenants_key_opens_no_admin(house: House) -> None:
    """Not even where this machine needs none: whoever brings a key is judged by it."""
    with pytest.raises(NotAuthenticated):
        await house.ring.admin(await house.issue())


async def test_without_an_admin_key_something_else_decides(house: House) -> None:
    """For whoever brings no issued key."""
    assert [await house.ring.admin(header) for header in (None, b"", b"Bearer static")] == [None, None, None]


async def test_a_ring_remembers_a_bounded_number(house: House) -> None:
    """The latest ten thousand."""
    keys = [await house.issue() for _ in range(10_001)]
    for key in (*keys, keys[-1]):
        await house.ring.find(key)
    assert house.registry.asked == 10_001
    await house.ring.find(keys[0])

    assert house.registry.asked == 10_002
