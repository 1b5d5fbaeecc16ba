"""What operators do: look at one user's memory, and try everything on it with what they know of somebody else's. Where
an id is not this user's it must be as unknown as one that never was."""

import random
import time
from typing import Any

import orjson

from tests.prove.isolation.caller import Caller
from tests.prove.isolation.people import Person
from tests.prove.isolation.speech import THINKING
from tests.support.raw import Response

_FEW = 8
_ANY = ((b"if-match", b"*"),)
_FIRST: dict[str, Any] = {"from": 1}
_PAGED = ("memories", "sessions", "watches", "reflections")


async def memories(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """A page of them; their ids are tried by others later."""
    answer = await call.admin("memories", "GET", "/memories", person, limit=dice.choice((1, 3, 50)))
    if call.witness.expect("memories", answer.status, 200):
        found = [memory["id"] for memory in answer.json()["items"]]
        person.own = found[:_FEW]
        person.memories = [*person.memories, *(id for id in found if id not in person.memories)][-_FEW:]
        _page(person, "memories", answer)


async def derived(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """What was made of their turns, whose ids are tried like all others; and one of the reflections that made it, which
    is taken back now and then."""
    made = await call.admin("derived memories", "GET", "/memories", person, policy=dice.choice(THINKING))
    if call.witness.expect("derived memories", made.status, 200):
        person.memories = [*person.memories, *(memory["id"] for memory in made.json()["items"])][-_FEW:]
    answer = await call.admin("reflections", "GET", "/reflections", person, limit=dice.choice((1, 50)))
    if call.witness.expect("reflections", answer.status, 200) and (found := answer.json()["items"]):
        _page(person, "reflections", answer)
        person.reflections = [one["id"] for one in found][:_FEW]
        path = f"/reflections/{dice.choice(person.reflections)}"
        one = await call.admin("a reflection", "GET", path, person)
        call.witness.expect("a reflection", one.status, 200)
        if dice.random() < 0.2:
            undone = await call.admin("a reflection", "POST", f"{path}/undo", person)
            call.witness.expect("a reflection undone", undone.status, 200, 409)


async def watches(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """One more or one fewer, and all of them."""
    if dice.random() < 0.5:
        text = {"text": f"Tell me when parcel {person.canary()} stands before the hall."}
        made = await call.admin("watches", "POST", "/watches", person, text)
        call.witness.expect("watch", made.status, 201)
    elif person.watches:
        await call.admin("watches", "DELETE", f"/watches/{person.watches.pop()}", person)
    answer = await call.admin("watches", "GET", "/watches", person, limit=dice.choice((1, 50)))
    if call.witness.expect("watches", answer.status, 200):
        person.watches = [watch["id"] for watch in answer.json()["items"]][:_FEW]
        _page(person, "watches", answer)


async def sessions(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """And the turns of one of them."""
    answer = await call.admin("sessions", "GET", "/sessions", person, limit=dice.choice((1, 50)))
    if call.witness.expect("sessions", answer.status, 200):
        _page(person, "sessions", answer)
        if found := answer.json()["items"]:
            session = dice.choice(found)["session"]
            turns = await call.admin("turns", "GET", "/turns", person, session=session)
            call.witness.expect("turns", turns.status, 200)


async def search(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """By a word of somebody else's fact; by each policy, and looking back."""
    label = next(iter(sorted(other.said)), b"parcel").decode()
    options: dict[str, Any] = dice.choice(({}, {"as_of": time.time()}, *({"policy": name} for name in THINKING)))
    answer = await call.admin("search", "GET", "/search", person, q=f"On which shelf stands {label}?", k=50, **options)
    call.witness.expect("search", answer.status, 200)


async def export(call: Caller, _dice: random.Random, person: Person, _other: Person) -> None:
    """All that they have."""
    answer = await call.admin("export", "GET", "/export", person)
    call.witness.expect("export", answer.status, 200)


async def traces(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """The latest, and one by its id."""
    answer = await call.admin("traces", "GET", "/traces", person, limit=dice.choice((1, 5)))
    if call.witness.expect("traces", answer.status, 200) and (found := answer.json()["items"]):
        one = await call.admin("a trace", "GET", f"/traces/{found[0]['id']}", person)
        call.witness.expect("a trace", one.status, 200)


async def dry_run(call: Caller, _dice: random.Random, person: Person, other: Person) -> None:
    """What would be recalled for them, in a session that somebody else has too."""
    body = {"model": "scripted", "messages": [{"role": "user", "content": "On which shelf does my parcel stand?"}]}
    named = {"session": other.sessions[0]} if other.sessions else {}
    answer = await call.admin("dry runs", "POST", "/recall", person, {**body, "user": other.name}, **named)
    call.witness.expect("dry run", answer.status, 200)


async def one_of_their_own(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """Read, looked back at, pinned, edited or deleted."""
    if not person.own:
        return
    id = dice.choice(person.own)
    way = dice.choice(("", "/history", "/diff", "/provenance", "pin", "edit", "delete"))
    if way == "delete":
        person.own.remove(id)
        await call.admin("deletions", "DELETE", f"/memories/{id}", person)
    elif way in ("pin", "edit"):
        change: Any = {"pinned": True} if way == "pin" else {"text": f"Parcel {person.canary()} stands in the hall."}
        await call.admin("edits", "PATCH", f"/memories/{id}", person, change, headers=_ANY)
    else:
        await call.admin("a memory", "GET", f"/memories/{id}{way}", person, **(_FIRST if way == "/diff" else {}))


async def their_memory(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """Somebody else's id, in every way that takes one."""
    theirs = [id for id in other.memories if id not in person.taken]
    if not theirs:
        return
    id = dice.choice(theirs)
    way = dice.choice(("read", "read", "history", "diff", "provenance", "pin", "edit", "delete", "many"))
    if way == "many":
        answer = await call.admin("deletions", "POST", "/memories/delete", person, {"ids": theirs})
        if call.witness.expect("their memories deleted", answer.status, 200) and answer.json()["deleted"]:
            call.witness.found.append(f"deletions: {answer.json()['deleted']} of somebody else's")
        return
    method = {"pin": "PATCH", "edit": "PATCH", "delete": "DELETE"}.get(way, "GET")
    change: Any = {"pin": {"pinned": True}, "edit": {"text": "Mine now.", "status": "archived"}}.get(way)
    path = f"/memories/{id}" + (f"/{way}" if way in ("history", "diff", "provenance") else "")
    query = _FIRST if way == "diff" else {}
    answer = await call.admin("their memory", method, path, person, change, headers=_ANY, **query)
    call.witness.expect(f"their memory, {way}", answer.status, 404)


async def their_trace(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """By its id."""
    if other.traces:
        answer = await call.admin("their trace", "GET", f"/traces/{dice.choice(other.traces)}", person)
        call.witness.expect("their trace", answer.status, 404)


async def their_watch(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """By its id; nobody can read one, only take it away."""
    if other.watches:
        path = f"/watches/{dice.choice(other.watches)}"
        answer = await call.admin("their watch", "DELETE", path, person)
        call.witness.expect("their watch", answer.status, 404)


async def their_reflection(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """By its id: read, or taken back."""
    if other.reflections:
        path = f"/reflections/{dice.choice(other.reflections)}"
        method, path = dice.choice((("GET", path), ("POST", f"{path}/undo")))
        answer = await call.admin("their reflection", method, path, person)
        call.witness.expect("their reflection", answer.status, 404)


async def their_session(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """By its name; 200 where this user has named one of their own like it."""
    session = dice.choice(other.sessions) if other.sessions else "none"
    answer = await call.admin("their turns", "GET", "/turns", person, session=session)
    call.witness.expect("their turns", answer.status, 404, 200)
    for route in ("memories", "traces"):
        found = await call.admin(f"their {route}", "GET", f"/{route}", person, session=session)
        call.witness.expect(f"their {route}", found.status, 200)


async def their_cursor(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """A page of this user's behind a place in somebody else's listing."""
    if other.cursors:
        route = dice.choice(sorted(other.cursors))
        answer = await call.admin("their cursor", "GET", f"/{route}", person, cursor=other.cursors[route])
        call.witness.expect("their cursor", answer.status, 200, 400)


async def their_id(call: Caller, dice: random.Random, person: Person, other: Person) -> None:
    """Something of this user's, imported under an id of somebody else's: both have theirs."""
    if other.memories:
        id = dice.choice(other.memories)
        person.taken.add(id)
        line = orjson.dumps({"id": id, "text": f"Parcel {person.canary()} stands in the hall."})
        answer = await call.admin("imports", "POST", "/import", person, raw=line)
        call.witness.expect("import", answer.status, 200)


async def note(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """The operator's own word about them; pinned it stands in all that they ask."""
    text = {"text": f"Cares about parcel {person.canary()}.", "pinned": dice.random() < 0.3}
    answer = await call.admin("notes", "POST", "/memories", person, text)
    call.witness.expect("note", answer.status, 201)


async def around(call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
    """Pages that tell of everybody, and no word of anybody."""
    where = dice.choice(("metrics", "users", "journal", "dead", "audit", "stats", "closed"))
    if where == "metrics":
        await call.get("metrics", b"/metrics")
    elif where == "closed":
        key = b"Bearer " + person.key.encode()
        answer = await call.get("/admin without its key", b"/admin/stats", ((b"authorization", key),))
        call.witness.expect("/admin without its key", answer.status, 401, 403)
    else:
        path = {"dead": "/journal/dead"}.get(where, f"/{where}")
        query = {"tenant": person.tenant} if where == "users" else {}
        answer = await call.admin(where, "GET", path, None, **query)
        call.witness.expect(where, answer.status, 200)


async def forget(call: Caller, _dice: random.Random, person: Person, _other: Person) -> None:
    """All of it, with a certificate; whatever of it is seen after this is a finding."""
    answer = await call.admin("certificates", "POST", "/forget", person)
    if call.witness.expect("forget", answer.status, 200):
        person.forgotten()
        verdict = await call.admin("certificates", "POST", "/forget/verify", None, answer.json())
        if call.witness.expect("verify", verdict.status, 200) and not verdict.json()["forgotten"]:
            call.witness.found.append(f"forgetting: {verdict.json()['held']} held of {person.shown}")


async def everything(call: Caller, person: Person) -> None:
    """Every page of all that is kept of them."""
    for route in _PAGED:
        query: dict[str, Any] = {"limit": 200}
        while True:
            answer = await call.admin(f"all {route}", "GET", f"/{route}", person, **query)
            if not call.witness.expect(f"all {route}", answer.status, 200):
                break
            for one in answer.json()["items"] if route == "reflections" else ():
                await call.admin("all reflections", "GET", f"/reflections/{one['id']}", person)
            if answer.json()["cursor"] is None:
                break
            query["cursor"] = answer.json()["cursor"]
    await call.admin("all traces", "GET", "/traces", person, limit=200)
    await call.admin("export", "GET", "/export", person)


def _page(person: Person, route: str, answer: Response) -> None:
    cursor = answer.json()["cursor"]
    if cursor is not None:
        person.cursors[route] = cursor
