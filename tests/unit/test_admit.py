"""Admission: tenant from the key alone, user and session as the caller names them, options checked."""

from typing import Any

import pytest

from gateway.admit import LOCAL, MODES, Caller, Key, Keyring, Options, admit, bearer, digest, parse_keys, read_mode
from gateway.errors import BadRequest, NotAuthenticated, SettingsRefused
from gateway.memory.records import Scope

PER_USER = Key("acme", "")
SINGLE = Key("acme", "acme")


def who(headers: dict[bytes, bytes] | None = None, key: Key = PER_USER, **fields: Any) -> Caller:
    """The caller of a request with these headers and body fields."""
    return admit(key, headers or {}, fields)


def user(headers: dict[bytes, bytes] | None = None, **fields: Any) -> str | None:
    """The user that such a request names."""
    scope = who(headers, **fields).scope
    return scope.user if scope else None


def test_a_secret_is_found_however_its_scheme_is_written() -> None:
    """Any case, any space around it."""
    assert bearer(b"Bearer sk-1") == bearer(b"bearer  sk-1 ") == b"sk-1"
    assert bearer("BEARER schlüssel".encode()) == "schlüssel".encode()


@pytest.mark.parametrize("header", [None, b"", b"Bearer", b"Bearer ", b"sk-1", b"Basic sk-1"])
def test_without_a_secret_nobody_is_admitted(header: bytes | None) -> None:
    """Missing and malformed ones are refused alike."""
    with pytest.raises(NotAuthenticated):
        bearer(header)


def test_a_key_is_found_by_its_digest() -> None:
    """And by no other."""
    ring = Keyring({"sk-1": PER_USER, "schlüssel": SINGLE})

    assert [ring.find(digest(secret)) for secret in (b"sk-1", "schlüssel".encode(), b"sk-2", b"sk-1\0")] == [
        PER_USER,
        SINGLE,
        None,
        None,
    ]


def test_keys_are_parsed_with_space_around_their_parts() -> None:
    """A key is per user unless it says otherwise."""
    assert parse_keys("a:t1, b : t2 : single-user ,c:t1:per-user", "local") == {
        "a": Key("t1", ""),
        "b": Key("t2", "t2"),
        "c": Key("t1", ""),
    }


def test_without_keys_there_is_one_local_user() -> None:
    """The embedded default."""
    assert parse_keys(" ", "mneme-local") == {"mneme-local": LOCAL}
    assert parse_keys("", "") == {}


@pytest.mark.parametrize("text", ["a", "a:", ":t", "a:t:other", "a:t:per-user:x", ",", "a:t,", "a:t,a:u"])
def test_keys_that_say_nothing_clear_are_refused(text: str) -> None:
    """The refusal names the knob."""
    with pytest.raises(SettingsRefused, match="MNEME_KEYS"):
        parse_keys(text, "local")


def test_the_tenants_of_a_keyring_are_listed_once() -> None:
    """In order."""
    assert Keyring({"a": Key("t2", ""), "b": Key("t1", ""), "c": Key("t2", "")}).tenants() == ["t1", "t2"]


@pytest.mark.parametrize(("header", "name"), [(None, "on"), (b"", "on"), (b"OFF", "off"), (b" read ", "read")])
def test_the_mode_is_one_of_four_words(header: bytes | None, name: str) -> None:
    """On when nothing is said."""
    assert read_mode(header) is MODES[name]


@pytest.mark.parametrize("header", [b"yes", b" ", b"on,off", b"\xff", b"on\0"])
def test_any_other_mode_is_refused(header: bytes) -> None:
    """It would be a guess."""
    with pytest.raises(BadRequest) as refused:
        read_mode(header)

    assert refused.value.param == "X-Mneme-Memory"


def test_modes_say_what_they_do() -> None:
    """Reading and writing apart."""
    assert {name: (mode.reads, mode.writes) for name, mode in MODES.items()} == {
        "off": (False, False),
        "read": (True, False),
        "write": (False, True),
        "on": (True, True),
    }


def test_the_user_is_named_by_the_first_who_says() -> None:
    """Header, then user, safety_identifier, metadata.user_id, then the key's own."""
    said: dict[str, Any] = {"user": "2", "safety_identifier": "3", "metadata": {"user_id": "4"}}
    found = [user({b"x-mneme-user": b"1"}, **said)]
    for name in list(said):
        found.append(user(**said))
        del said[name]

    assert [*found, user(), user(key=SINGLE)] == ["1", "2", "3", "4", None, "acme"]


@pytest.mark.parametrize("value", ["", None, 7, ["u"], {"id": "u"}, True])
def test_what_names_nobody_is_passed_over(value: Any) -> None:
    """The next one who says it counts."""
    assert user(user=value, safety_identifier="s") == "s"


@pytest.mark.parametrize("metadata", [None, "x", [], 3, {"user_id": 7, "session_id": []}])
def test_metadata_of_another_shape_names_nobody(metadata: Any) -> None:
    """It is the worker's to judge."""
    assert who(metadata=metadata) == Caller(None, None, Options())


@pytest.mark.parametrize(
    "id", ["a/b", "a:b", "a|b", "*", "%", "_", "a\0b", "a\nb", "' OR 1=1 --", "{}", "é", "日本", " x "]
)
def test_an_id_may_hold_any_character(id: str) -> None:
    """It is opaque, and stays what it is."""
    assert who(user=id, metadata={"session_id": id}) == Caller(Scope("acme", id), id, Options())


def test_a_header_is_read_as_utf_8_or_else_as_latin_1() -> None:
    """Clients send both; either way it is the same user."""
    assert user({b"x-mneme-user": "é".encode()}) == user({b"x-mneme-user": "é".encode("latin-1")}) == "é"


def test_the_tenant_cannot_be_named() -> None:
    """Only the key says it."""
    caller = who({b"x-mneme-tenant": b"other", b"x-mneme-user": b"u"}, tenant="other", metadata={"tenant": "other"})

    assert caller.scope == Scope("acme", "u")


def test_the_session_is_named_by_header_or_metadata() -> None:
    """The header first; nobody naming one gives none."""
    said: dict[str, Any] = {"metadata": {"session_id": "2"}}

    assert [who({b"x-mneme-session": b"1"}, **said).session, who(**said).session, who().session] == ["1", "2", None]


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({b"x-mneme-user": b"x" * 513}, {}),
        ({b"x-mneme-session": b"x" * 513}, {}),
        ({}, {"user": "x" * 513}),
        ({}, {"metadata": {"session_id": "x" * 513}}),
    ],
)
def test_an_endless_id_is_refused(headers: dict[bytes, bytes], fields: dict[str, Any]) -> None:
    """It would be stored with every turn."""
    with pytest.raises(BadRequest, match="512"):
        who(headers, **fields)


@pytest.mark.parametrize(
    ("memory", "options"),
    [
        (None, Options()),
        ({}, Options()),
        ({"policy": "none", "tokens": 0}, Options("none", 0)),
        ({"at": 1700000000}, Options(at=1.7e9)),
        ({"at": "2023-11-14T22:13:20"}, Options(at=1.7e9)),
        ({"at": "2023-11-14T23:13:20+01:00"}, Options(at=1.7e9)),
        ({"at": "1969-12-31"}, Options(at=-86400.0)),
        ({"as_of": 1700000000}, Options(as_of=1.7e9)),
        ({"at": 1700000000, "as_of": "2023-11-14T22:13:19"}, Options(at=1.7e9, as_of=1.7e9 - 1)),
        ({"policy": None, "tokens": None, "at": None, "as_of": None}, Options()),
    ],
)
def test_options_are_read(memory: Any, options: Options) -> None:
    """Times without a zone are UTC."""
    assert who(memory=memory).options == options


@pytest.mark.parametrize(
    ("memory", "param"),
    [
        ("on", "memory"),
        ([], "memory"),
        ({"budget": 3}, "memory"),
        ({"policy": 3}, "memory.policy"),
        ({"tokens": -1}, "memory.tokens"),
        ({"tokens": 1.5}, "memory.tokens"),
        ({"tokens": True}, "memory.tokens"),
        ({"tokens": "9"}, "memory.tokens"),
        ({"at": "yesterday"}, "memory.at"),
        ({"at": -1}, "memory.at"),
        ({"at": 1e12}, "memory.at"),
        ({"at": True}, "memory.at"),
        ({"at": []}, "memory.at"),
        ({"as_of": "yesterday"}, "memory.as_of"),
        ({"as_of": True}, "memory.as_of"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(memory: Any, param: str) -> None:
    """The refusal names the option."""
    with pytest.raises(BadRequest) as refused:
        who(memory=memory)

    assert refused.value.param == param
