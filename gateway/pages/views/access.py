"""Who may ask, how much, and what operators did: tenants, keys, the audit log. A secret stands on one answer's page and
nowhere else: in no URL, and in nothing that is kept."""

import asyncio
import time
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from gateway.errors import BadRequest, Turned
from gateway.pages.visitor import Visitor

_KINDS = (
    ("per-user", "many users, whom each request names"),
    ("single-user", "one user, who is the key"),
    ("admin", "this page and /admin"),
)
_ROLES = (
    ("read", "looks"),
    ("write", "also keeps, edits and forgets memories"),
    ("operator", "also tenants, keys and everything else"),
)
_OVERLAPS = ((0, "at once"), (3600, "in an hour"), (86_400, "in a day"), (7 * 86_400, "in a week"))
_LIMITS = (("requests_per_minute", "Requests a minute"), ("tokens_per_minute", "Tokens a minute"))
_SETTINGS = (
    ("limits", "Limits", "Of all its keys together, prompts and answers; 0 is as much as there is.", _LIMITS),
    (
        "quota",
        "Quota",
        "Beyond this new turns are answered and not remembered; 0 is any number.",
        (("memories_per_user", "Memories of each user"), ("memories", "Memories of all its users")),
    ),
    (
        "retention",
        "Retention",
        "After so many days they are deleted, for good; 0 is never.",
        (("memories_days", "Days for memories"), ("traces_days", "Days for traces and placements")),
    ),
)
_ADMINS = "admin"
_SAID = {"set": "Set. Gateways go by it within two seconds.", "revoke": "Revoked: it opens nothing any more."}
_PER_PAGE = 50
_MOST = 200
_DIGITS = 12


async def front(visitor: Visitor) -> Response:
    """Tenants, and keys: of all, of one tenant, or those for /admin."""
    tenants, keys = await asyncio.gather(_tenants(visitor), _keys(visitor))
    return visitor.page(
        "access.html",
        tenants=tenants,
        keys=keys["items"],
        cursor=keys["cursor"],
        of=visitor.asked("of"),
        now=time.time(),
        kinds=_KINDS,
        roles=_ROLES,
        limits=_LIMITS,
        overlaps=_OVERLAPS,
        said=_SAID.get(visitor.asked("did"), ""),
        undo=None,
        onward=None,
    )


async def tenant(visitor: Visitor) -> Response:
    """What is set for one tenant; one that there is not yet has nothing set."""
    name = visitor.asked("name")
    if not name:
        raise BadRequest("Name the tenant.")
    found = await _card(visitor, name)
    said = _SAID.get(visitor.asked("did"), "")
    blank = {group: dict.fromkeys((field for field, _ in fields), 0) for group, _, _, fields in _SETTINGS}
    card = found or {"name": name, "created": 0, **blank}
    return visitor.page(
        "tenant.html", tenant=card, made=found is not None, settings=_SETTINGS, said=said, undo=None, onward=None
    )


async def settle(visitor: Visitor) -> Response:
    """Make a tenant, or set it anew."""
    name = visitor.sent("name").strip()
    if not name:
        raise BadRequest("Name the tenant.")
    body = {group: _numbers(visitor, fields) for group, _, _, fields in _SETTINGS}
    await visitor.api.put("/tenants", body, tenant=name)
    return visitor.moved(visitor.url("/access/tenant", name=name, did="set"))


async def issue(visitor: Visitor) -> Response:
    """Make a key, and show its secret this once."""
    kind = visitor.sent("kind")
    body: dict[str, Any] = {"kind": kind, "label": visitor.sent("label").strip()}
    body["limits"] = _numbers(visitor, _LIMITS)
    if visitor.sent("expires"):
        body["expires"] = visitor.sent("expires")
    if kind == "admin":
        body["role"] = visitor.sent("role")
    owner = "" if kind == "admin" else visitor.sent("of")
    told = await visitor.api.post("/keys", body, tenant=owner)
    return visitor.page("issued.html", secret=told["secret"], key=told["key"], former=None, overlap="")


async def rotate(visitor: Visitor) -> Response:
    """Make one like it, show its secret this once, and say when the former ends."""
    overlap = _number(visitor, "overlap")
    told = await visitor.api.post(f"/keys/{_id(visitor)}/rotate", {"overlap": overlap})
    ends = dict(_OVERLAPS).get(overlap, f"in {overlap} seconds")
    return visitor.page("issued.html", secret=told["secret"], key=told["key"], former=visitor.sent("id"), overlap=ends)


async def revoke(visitor: Visitor) -> Response:
    """End a key, if that was confirmed."""
    if visitor.sent("sure") != "true":
        raise BadRequest("Tick that you are sure: nothing was revoked.")
    await visitor.api.delete(f"/keys/{_id(visitor)}")
    return visitor.moved(visitor.url("/access", of=visitor.sent("of"), did="revoke"))


async def audit(visitor: Visitor) -> Response:
    """What was done under /admin, latest first."""
    asked = visitor.asked("cursor")
    page = await visitor.api.get("/audit", cursor=asked, limit=_PER_PAGE)
    return visitor.page("audit.html", acts=page["items"], cursor=page["cursor"], later=bool(asked))


async def _tenants(visitor: Visitor) -> list[dict[str, Any]]:
    """The first ones by name, with what is set for them (None where only the gateway's own settings name them) and how
    much is kept of them, where that can be told."""
    try:
        held = {told["tenant"]: told for told in (await visitor.api.get("/stats"))["tenants"]}
    except Turned:  # memory may be down while keys and tenants are not
        held = {}
    made = {card["name"]: card for card in (await visitor.api.get("/tenants", limit=_MOST))["items"]}
    own = {str(visitor.me["tenant"])} - {""}
    return [{"name": name, "set": made.get(name), "held": held.get(name)} for name in sorted({*made, *held, *own})]


async def _card(visitor: Visitor, name: str) -> dict[str, Any] | None:
    """What is set for a tenant; there is no asking for one alone."""
    cursor = None
    while True:
        page = await visitor.api.get("/tenants", limit=_MOST, cursor=cursor)
        for card in page["items"]:
            if card["name"] == name:
                return dict(card)
        cursor = page["cursor"]
        if cursor is None:
            return None


async def _keys(visitor: Visitor) -> dict[str, Any]:
    of = visitor.asked("of")
    # An admin key is of no tenant, which is not the same as of any.
    named: dict[str, Any] = {"tenant": [""]} if of == _ADMINS else {"tenant": of.removeprefix("of:")}
    page: dict[str, Any] = await visitor.api.get("/keys", limit=_PER_PAGE, cursor=visitor.asked("cursor"), **named)
    return page


def _id(visitor: Visitor) -> str:
    if not visitor.sent("id"):
        raise BadRequest("Name the key.")
    return quote(visitor.sent("id"), safe="")


def _numbers(visitor: Visitor, fields: tuple[tuple[str, str], ...]) -> dict[str, int]:
    return {field: _number(visitor, field) for field, _ in fields}


def _number(visitor: Visitor, field: str) -> int:
    told = visitor.sent(field).strip() or "0"
    if not (told.isascii() and told.isdigit() and len(told) < _DIGITS):
        raise BadRequest("Limits are whole numbers, at most a billion; 0 is none.")
    return int(told)
