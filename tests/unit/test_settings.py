"""Settings: every contradiction is refused before anything starts, and named."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import Settings

ROOT = Path(__file__).parents[2]


def settings(**knobs: Any) -> Settings:
    """Settings with these knobs, as the environment would give them."""
    return Settings(**knobs)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    """Only this machine can reach it."""
    assert settings(host=host).on_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "", "localhost.example.org", "127.1"])
def test_any_other_address_needs_keys(host: str) -> None:
    """The refusal names both knobs; with keys it starts."""
    with pytest.raises(ValidationError, match=r"MNEME_HOST.*MNEME_KEYS"):
        settings(host=host)

    assert not settings(host=host, keys="k:t").on_loopback
    assert not settings(host=host, admin_key="k").local_only


@pytest.mark.parametrize("given", [{}, {"embedder_url": "http://e/v1"}, {"embedder_model": "m"}])
def test_an_embedder_over_http_needs_its_address_and_model(given: dict[str, Any]) -> None:
    """The refusal names both."""
    with pytest.raises(ValidationError, match=r"MNEME_EMBEDDER_URL and MNEME_EMBEDDER_MODEL"):
        settings(embedder="http", **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"next_embedder": "minilm"}, "the same as MNEME_EMBEDDER"),
        ({"next_embedder": "http"}, "MNEME_NEXT_EMBEDDER_URL and MNEME_NEXT_EMBEDDER_MODEL"),
        ({"next_embedder": "http", "next_embedder_url": "http://e/v1"}, "MNEME_NEXT_EMBEDDER_MODEL"),
        ({"next_embedder_url": "http://e/v1"}, "need MNEME_NEXT_EMBEDDER"),
        ({"next_embedder_model": "m"}, "need MNEME_NEXT_EMBEDDER"),
        (
            {
                "embedder": "http",
                "embedder_url": "http://e/v1",
                "embedder_model": "m",
                "next_embedder": "http",
                "next_embedder_url": "http://another/v1",
                "next_embedder_model": "m",
            },
            "the same as MNEME_EMBEDDER",
        ),
    ],
)
def test_a_second_embedder_is_another_one_and_whole(given: dict[str, Any], said: str) -> None:
    """Two of a kind have different models; what is left over of one refuses to start."""
    with pytest.raises(ValidationError, match=said):
        settings(**given)


def test_memories_may_move_between_two_models_of_one_endpoint() -> None:
    """Each has its own address and name."""
    first = {"embedder": "http", "embedder_url": "http://e/v1", "embedder_model": "m"}

    assert settings(**first, next_embedder="http", next_embedder_url="http://e/v1", next_embedder_model="n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reflect_url": "http://r/v1"}, "need MNEME_REFLECT_MODEL"),
        ({"reflect_key": "k"}, "need MNEME_REFLECT_MODEL"),
        ({"reflect_model": "m"}, "MNEME_REFLECT_MODEL needs MNEME_REFLECT_URL or MNEME_UPSTREAM"),
        ({"reflect_model": "m", "reflect_key": "k", "upstream": "http://u/v1"}, "MNEME_REFLECT_KEY is for"),
        ({"reflect_model": "m", "reflect_url": "r:8000"}, "MNEME_REFLECT_URL must start with http"),
        ({"vision_url": "http://v/v1"}, "need MNEME_VISION_MODEL"),
        ({"vision_key": "k"}, "need MNEME_VISION_MODEL"),
        ({"vision_model": "m"}, "MNEME_VISION_MODEL needs MNEME_VISION_URL or MNEME_UPSTREAM"),
        ({"vision_model": "m", "vision_key": "k", "upstream": "http://u/v1"}, "MNEME_VISION_KEY is for"),
        ({"vision_model": "m", "vision_url": "v:8000"}, "MNEME_VISION_URL must start with http"),
        ({"reflect_turns": 0}, "reflect_turns"),
        ({"reflect_idle": -1}, "reflect_idle"),
        ({"reflect_calls": -1}, "reflect_calls"),
    ],
)
def test_a_model_to_think_with_is_named_whole(given: dict[str, Any], said: str) -> None:
    """With its address, or that of the worker; what is left over of one refuses to start."""
    with pytest.raises(ValidationError, match=said):
        settings(**given)


@pytest.mark.parametrize("upstream", ["", "http://a/v1", "http://a/v1, https://b/v1", "dns+http://a:8000/v1"])
def test_an_upstream_may_have_replicas(upstream: str) -> None:
    """Several addresses with commas between them, or a name for all of them."""
    assert settings(upstream=upstream).upstream == upstream


@pytest.mark.parametrize("upstream", ["localhost:8000", "ftp://x", "//x", "file:///x", "http://a/v1,b", ","])
def test_an_upstream_is_an_http_address(upstream: str) -> None:
    """The refusal names the knob."""
    with pytest.raises(ValidationError, match="MNEME_UPSTREAM"):
        settings(upstream=upstream)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70000),
        ("port", -1),
        ("memory_tokens", -1),
        ("recall_deadline", 0),
        ("recall_deadline", "inf"),
        ("idle_timeout", "nan"),
        ("drain_seconds", -1),
        ("durability", "hope"),
        ("cache_salt", "all"),
        ("body_limit", 0),
        ("redact", "perhaps"),
        ("colour", "red"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(name: str, value: Any) -> None:
    """Out of range, not finite, not a known word, or no knob at all."""
    with pytest.raises(ValidationError, match=name):
        settings(**{name: value})


def test_settings_do_not_change() -> None:
    """What was started with stays."""
    with pytest.raises(ValidationError, match="frozen"):
        settings().port = 1


def test_secrets_are_not_shown() -> None:
    """Not in a log line, not in a traceback."""
    shown = repr(
        settings(
            keys="hunter2:t",
            admin_key="hunter3",
            upstream_key="hunter4",
            embedder_key="hunter5",
            workers="hunter6",
            next_embedder_key="hunter7",
            reflect_model="m",
            reflect_url="http://r/v1",
            reflect_key="hunter8",
        )
    )

    assert "hunter" not in shown


def test_a_refusal_at_start_names_every_knob_that_is_wrong() -> None:
    """By the name that the operator set; values are not repeated."""
    code = "from gateway.settings import read_settings; read_settings()"
    env = {**os.environ, "MNEME_PORT": "hunter2", "MNEME_RECALL_DEADLINE": "0"}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    refusal = ended.stderr.splitlines()[-1]

    assert "SettingsRefused" in refusal
    assert "MNEME_PORT" in refusal
    assert "MNEME_RECALL_DEADLINE" in refusal
    assert "hunter2" not in refusal


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"otlp_endpoint": "collector:4318"}, "MNEME_OTLP_ENDPOINT"),
        ({"otlp_content": True}, "MNEME_OTLP_CONTENT needs MNEME_OTLP_ENDPOINT"),
        ({"log": "xml"}, "log"),
    ],
)
def test_what_cannot_be_told_is_refused(given: dict[str, Any], named: str) -> None:
    """A collector is a URL, and texts go nowhere without one."""
    with pytest.raises(ValidationError, match=named):
        settings(**given)
