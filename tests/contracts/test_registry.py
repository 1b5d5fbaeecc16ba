"""What every Registry promises."""

import hashlib
from dataclasses import replace

import pytest

from gateway.admit import Quota
from gateway.errors import BadRequest, MemoryUnavailable
from gateway.memory.records import Page
from gateway.tenants.ports import Registry
from gateway.tenants.records import Act, KeyCard, Limits, Logged, Retention, Tenant
from tests.contracts.conftest import Opening
from tests.contracts.samples import IDS, NO_CURSORS

ACT = Act("loopback", "operator", "POST /admin/forget", 5.0, "acme", "subject", "m1")


def digest(id: str) -> bytes:
    """As of a secret."""
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()


async def issued(registry: Registry, id: str, **fields: object) -> KeyCard:
    """A key, kept."""
    card = KeyCard(**{"id": id, "kind": "per-user", "tenant": "acme", **fields})  # type: ignore[arg-type]
    await registry.issue(digest(id), card)
    return card


async def test_a_tenant_comes_back_whole(registry_of: Opening) -> None:
    """Under its own name only, also after reopening."""
    kept = [Tenant(id, 1.5, Limits(3, 4), Quota(5, 6)) for id in IDS]
    async with registry_of() as registry:
        assert [await registry.keep_tenant(tenant) for tenant in kept] == kept
    async with registry_of() as registry:
        assert [await registry.tenant(id) for id in IDS] == kept
        assert await registry.tenant("nobody") is None


async def test_a_tenant_told_again_is_replaced(registry: Registry) -> None:
    """All but when it was made."""
    await registry.keep_tenant(Tenant("acme", 1.0, Limits(3, 4)))
    kept = await registry.keep_tenant(Tenant("acme", 9.0, quota=Quota(1, 2), retention=Retention(30, 7)))

    assert kept == await registry.tenant("acme")
    assert kept == Tenant("acme", 1.0, quota=Quota(1, 2), retention=Retention(30, 7))


async def test_pages_of_tenants_cover_each_once(registry: Registry) -> None:
    """In the order of their bytes."""
    for id in IDS:
        await registry.keep_tenant(Tenant(id))

    for limit in (1, 3, 100):
        page: Page[Tenant] = await registry.tenants(limit=limit)
        found = [*page.items]
        while page.cursor is not None:
            page = await registry.tenants(cursor=page.cursor, limit=limit)
            found += page.items
        assert [t.name for t in found] == sorted(IDS, key=lambda id: id.encode("utf-8", "surrogatepass"))


async def test_a_key_is_found_by_its_secrets_digest(registry_of: Opening) -> None:
    """Whole, also after reopening; and by no other digest."""
    async with registry_of() as registry:
        one = await issued(registry, "k1", label="é\udc80", limits=Limits(1, 2), created=3.25, until=7.5)
        other = await issued(registry, "k2", kind="admin", tenant="", role="read")
    async with registry_of() as registry:
        assert [await registry.find(digest(id)) for id in ("k1", "k2", "k3")] == [one, other, None]
        assert [await registry.key(id) for id in ("k1", "k2", "k3")] == [one, other, None]


async def test_pages_of_keys_cover_each_once(registry: Registry) -> None:
    """In the order of their issue, of all or of one tenant."""
    for number in range(7):
        await issued(registry, f"k{number}", tenant="acme" if number % 2 else "acme:")

    for limit in (1, 2, 100):
        for tenant, wanted in (("acme", "135"), ("acme:", "0246"), (None, "0123456")):
            page: Page[KeyCard] = await registry.keys(tenant=tenant, limit=limit)
            found = [*page.items]
            while page.cursor is not None:
                page = await registry.keys(tenant=tenant, cursor=page.cursor, limit=limit)
                found += page.items
            assert [card.id for card in found] == [f"k{number}" for number in wanted]


async def test_keys_are_told_with_the_digests_of_their_secrets(registry: Registry) -> None:
    """Each once, in the order of their issue, as it is now."""
    cards = [await issued(registry, f"k{number}é\udc80") for number in range(7)]
    await registry.used(cards[0].id, 3600.0)
    await registry.end(cards[1].id, 5.0)
    wanted = [replace(cards[0], used=3600.0), replace(cards[1], until=5.0), *cards[2:]]

    for limit in (1, 2, 100):
        page: Page[tuple[bytes, KeyCard]] = await registry.issued(limit=limit)
        found = [*page.items]
        while page.cursor is not None:
            page = await registry.issued(cursor=page.cursor, limit=limit)
            found += page.items
        assert found == [(digest(card.id), card) for card in wanted]


async def test_a_key_ends_and_never_later(registry: Registry) -> None:
    """Whatever is told, the earliest counts; an unknown one is told of."""
    card = await issued(registry, "k")
    for at, until in ((9.5, 9.5), (12.0, 9.5), (0.0, 0.0), (1.0, 0.0)):
        assert await registry.end("k", at)
        assert await registry.key("k") == replace(card, until=until)

    assert not await registry.end("nobody", 1.0)


async def test_when_a_key_was_used_is_kept(registry: Registry) -> None:
    """The latest; and nothing of a key that there is not."""
    card = await issued(registry, "k")
    for at in (7200.0, 3600.0):
        await registry.used("k", at)
    await registry.used("nobody", 1.0)

    assert await registry.find(digest("k")) == replace(card, used=7200.0)
    assert await registry.key("nobody") is None


async def test_acts_are_told_latest_first(registry_of: Opening) -> None:
    """With who they were about and what came of them, also after reopening."""
    async with registry_of() as registry:
        first = await registry.begin(ACT, "ada\udc80")
        await registry.begin(replace(ACT, what="POST /admin/keys", subject="", target=""), "")
        await registry.conclude(first, "200")
    async with registry_of() as registry:
        latest, earliest = (await registry.acts()).items

    assert earliest == Logged(ACT, "ada\udc80", "200", "")
    assert latest == Logged(replace(ACT, what="POST /admin/keys", subject="", target=""), None, "", "")


async def test_what_came_of_an_act_is_told_once(registry: Registry) -> None:
    """Later tellings change nothing; of an act that there is not, neither."""
    id = await registry.begin(ACT, "")
    await registry.conclude(id, "201", "made")
    await registry.conclude(id, "500", "other")
    await registry.conclude("999999999", "200")

    assert (await registry.acts()).items == (Logged(ACT, None, "201", "made"),)


async def test_a_forgotten_subject_has_no_name(registry: Registry) -> None:
    """Its acts stay; nobody else's name goes."""
    other = replace(ACT, subject="other")
    for act, user in ((ACT, "ada"), (other, "bob"), (ACT, "ada")):
        await registry.begin(act, user)
    await registry.unname("subject")

    assert [(logged.act, logged.user) for logged in (await registry.acts()).items] == [
        (ACT, None),
        (other, "bob"),
        (ACT, None),
    ]


async def test_pages_of_acts_cover_each_once(registry: Registry) -> None:
    """Latest first."""
    for number in range(7):
        await registry.begin(replace(ACT, at=float(number)), "")

    for limit in (1, 2, 100):
        page: Page[Logged] = await registry.acts(limit=limit)
        found = [*page.items]
        while page.cursor is not None:
            page = await registry.acts(cursor=page.cursor, limit=limit)
            found += page.items
        assert [logged.act.at for logged in found] == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("cursor", NO_CURSORS)
async def test_a_foreign_cursor_is_the_callers_fault(registry: Registry, cursor: str) -> None:
    """BadRequest, from every list."""
    for listing in (registry.tenants, registry.keys, registry.acts):
        with pytest.raises(BadRequest):
            await listing(cursor=cursor)


async def test_a_closed_registry_says_so(registry_of: Opening) -> None:
    """Whatever it is asked."""
    async with registry_of() as registry:
        pass
    for asking in (
        registry.ping,
        lambda: registry.find(digest("k")),
        lambda: registry.tenant("acme"),
        lambda: registry.begin(ACT, ""),
        lambda: registry.end("k", 0.0),
    ):
        with pytest.raises(MemoryUnavailable):
            await asking()
