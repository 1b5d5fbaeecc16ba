"""Any body as bytes: its model's name is found and changed, keys come into vllm_xargs, and nothing else moves."""

import orjson
import pytest

from gateway.errors import NotSpliceable
from gateway.wire.body import model_of, readdressed


@pytest.mark.parametrize(
    ("raw", "model"),
    [
        (b'{"model":"m"}', "m"),
        (b' {"input": ["x"], "model" : "a\\u0062\\"" }\n', 'ab"'),
        (b'{"model":"a","model":"b"}', "b"),
        (b'{"messages":[{"model":"inner"}]}', None),
        (b'{"model":7}', None),
        (b'{"model":null}', None),
        (b'{"model":"\\ud800"}', None),
        (b'["model"]', None),
        (b"--boundary", None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_model_of_a_body(raw: bytes, model: str | None) -> None:
    """What the worker's parser would find; None where there is no name to go by."""
    assert model_of(raw) == model


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"b","vllm_xargs":{"kv_policy":"p"}}'),
        (
            b'{ "n":1e0, "model" : "a" ,"x":null}\n',
            b'{ "n":1e0, "model" : "b" ,"x":null,"vllm_xargs":{"kv_policy":"p"}}\n',
        ),
        (b'{"vllm_xargs": {},"model":"a"}', b'{"vllm_xargs": {"kv_policy":"p"},"model":"b"}'),
        (b'{"vllm_xargs": { "x" :1 },"model":"a"}', b'{"vllm_xargs": {"kv_policy":"p", "x" :1 },"model":"b"}'),
        (b'{"model":"a","vllm_xargs":null}', b'{"model":"b","vllm_xargs":{"kv_policy":"p"}}'),
        (b'{"model":"a","vllm_xargs":{"kv_policy":"mine"}}', b'{"model":"b","vllm_xargs":{"kv_policy":"mine"}}'),
        (b'{"model":"a","vllm_xargs":[1]}', b'{"model":"b","vllm_xargs":[1]}'),
    ],
    ids=["plain", "odd-spelling", "empty", "merged", "null", "the-client-wins", "not-ours-to-judge"],
)
def test_a_body_is_addressed_anew(raw: bytes, expected: bytes) -> None:
    """The model's value and the key are new; every other byte stands as it did."""
    assert readdressed(raw, "b", {"kv_policy": "p"}) == expected


def test_without_a_policy_only_the_name_changes() -> None:
    """No member comes."""
    assert readdressed(b'{"model":"a","vllm_xargs":{"x":1}}', 'b"', {}) == b'{"model":"b\\"","vllm_xargs":{"x":1}}'


def test_several_keys_come_at_once_and_in_order() -> None:
    """Those that the client has not."""
    raw = readdressed(
        b'{"model":"a","vllm_xargs":{"kv_sink":9}}', "a", {"kv_policy": "p", "kv_sink": 1, "kv_window": 2}
    )

    assert orjson.loads(raw)["vllm_xargs"] == {"kv_policy": "p", "kv_window": 2, "kv_sink": 9}


@pytest.mark.parametrize("raw", [b'{"model":"a","model":"a"}', b'{"model":"a","vllm_xargs":{"x":1,"x":2}}'])
def test_what_has_two_members_of_one_name_is_refused(raw: bytes) -> None:
    """Which of them the worker would go by is not ours to say."""
    with pytest.raises(NotSpliceable):
        readdressed(raw, "b", {"kv_policy": "p"})
