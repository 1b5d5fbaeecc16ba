"""MNEME_WORKERS: what it says, and what it may not say."""

import pytest

from gateway.errors import SettingsRefused
from gateway.upstream.aliases import Alias, parse_aliases


def test_an_alias_says_as_much_as_it_needs_to() -> None:
    """A worker, a model there, a policy, in any combination that leads somewhere."""
    found = parse_aliases(
        """{"far": {"url": "http://w:8000/v1", "key": "k", "model": "m", "policy": "surprisal"},
            "near": {"url": "https://w/v1"}, "endless": {"policy": "sink_window"}}"""
    )

    assert found == {
        "far": Alias("http://w:8000/v1", "k", "m", "surprisal"),
        "near": Alias("https://w/v1"),
        "endless": Alias(policy="sink_window"),
    }


def test_an_alias_may_name_replicas() -> None:
    """As a list or with commas, by name too; each once, and without the slash at its end."""
    found = parse_aliases(
        """{"list": {"url": ["http://a/v1", "dns+http://b:8000/v1/", "http://a/v1/"]},
            "commas": {"url": "http://a/v1, https://c/v1"}, "open": {"policy": "p"}}"""
    )

    assert {name: alias.urls for name, alias in found.items()} == {
        "list": ("http://a/v1", "dns+http://b:8000/v1"),
        "commas": ("http://a/v1", "https://c/v1"),
        "open": (),
    }


def test_nothing_said_is_no_alias() -> None:
    """An empty setting, and an empty object."""
    assert parse_aliases("  ") == parse_aliases("{}") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"a": "http://w/v1"}', "cannot be read"),
        ('{"a": {"url": 7}}', "cannot be read"),
        ('{"a": {"policy": "p", "sink": 4}}', "unknown field `sink`"),
        ('{"": {"policy": "p"}}', "has no name"),
        ('{"a": {}}', "'a' needs a url"),
        ('{"a": {"model": "m"}}', "'a' needs a url"),
        ('{"a": {"policy": "p", "key": "hunter2"}}', "'a' needs a url"),
        ('{"a": {"url": "w:8000"}}', "'a' must start with http"),
        ('{"a": {"url": []}}', "'a' needs a url"),
        ('{"a": {"url": ["http://w/v1", "w:8000"]}}', "'a' must start with http"),
        ('{"a": {"url": ["http://w/v1", ""]}}', "'a' must start with http"),
        ('{"a": {"url": "http://w/v1", "key": "hunter2"}, "b": {"url": "http://w/v1/"}}', "'b' has another key"),
        (
            '{"a": {"url": "http://w/v1", "key": "hunter2"}, "b": {"url": ["http://v/v1", "http://w/v1"]}}',
            "another key",
        ),
    ],
)
def test_what_leads_nowhere_is_refused(text: str, said: str) -> None:
    """The knob and the alias are named, and no key is repeated."""
    with pytest.raises(SettingsRefused, match="MNEME_WORKERS") as refused:
        parse_aliases(text)

    assert said in refused.value.message
    assert "hunter2" not in refused.value.message
