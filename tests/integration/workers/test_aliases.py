"""Aliases: the worker they stand for gets the client's bytes with another name, or the client gets a 404."""

from pathlib import Path

import orjson
import pytest

from tests.integration.test_splice import ANSWER
from tests.integration.workers.conftest import FAR, NEAR, Yard, known, models
from tests.support.gateway import running_gateway
from tests.support.raw import CHAT, KEY, OFF, ask, chat
from tests.support.upstream import Reply, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = (b"content-type", b"application/json")
ODD = b'{ "n":1e0,"model" : "%s" ,"messages":[{"content":"caf\\u00e9","role":"user"}], "x":null }\n'


async def test_an_alias_is_sent_to_its_worker_under_the_name_there(yard: Yard) -> None:
    """The model's value is another one, and every other byte is the client's; so are the bytes of the answer."""
    said = b'{"model":"far/model", "choices" : [ ] }'
    yard.far.reply(Reply(headers=(JSON, (b"x-from", b"far")), chunks=(said,)))

    answer = await ask(yard.port, b"POST", CHAT, ODD % b"far", (KEY, OFF, JSON))

    (received,) = yard.far.received
    assert (received.target, received.body, yard.near.received) == (CHAT, ODD % b"far/model", [])
    assert (answer.status, answer.body, answer.header(b"x-from")) == (200, said, b"far")


async def test_the_policy_of_an_alias_is_asked_for(yard: Yard) -> None:
    """As a new member at the end, because the client has none of that name."""
    await ask(yard.port, b"POST", CHAT, ODD % b"whole", (KEY, OFF, JSON))

    expected = ODD % b"far/model"
    assert yard.far.received[0].body == expected.replace(b":null }", b':null,"vllm_xargs":{"kv_policy":"full"} }')


async def test_what_the_client_asks_of_the_worker_wins(yard: Yard) -> None:
    """Its own keys stay, ours come beside them."""
    headers, messages = (KEY, OFF, JSON), b'"messages":[{"role":"user","content":"a"}]'
    await ask(yard.port, b"POST", CHAT, b'{"model":"whole","vllm_xargs":{"kv_window": 64},%s}' % messages, headers)
    await ask(yard.port, b"POST", CHAT, b'{"model":"whole","vllm_xargs":{"kv_policy":"duo"},%s}' % messages, headers)

    merged, theirs = (orjson.loads(received.body)["vllm_xargs"] for received in yard.far.received)
    assert (merged, theirs) == ({"kv_policy": "full", "kv_window": 64}, {"kv_policy": "duo"})


async def test_a_policy_alone_leads_to_the_worker_that_has_it(yard: Yard) -> None:
    """Whatever its URL and its model are."""
    await chat(yard.port, "Hello there", OFF, model="endless")

    sent = orjson.loads(yard.far.received[0].body)
    assert (sent["model"], sent["vllm_xargs"]) == ("far/model", {"kv_policy": "sink_window"})


async def test_with_memory_on_an_alias_is_remembered_too(yard: Yard) -> None:
    """Its question gets salt and sink as any other, under the worker's own name."""
    yard.far.reply(ANSWER)

    answer = await chat(yard.port, "My uncle Bo sails.", model="far")

    sent = orjson.loads(yard.far.received[0].body)
    assert (sent["model"], len(sent["cache_salt"]), answer.header(b"x-mneme-mode")) == ("far/model", 43, b"on")
    await yard.gateway.indexed()


async def test_a_refused_prompt_is_sent_again_under_the_same_policy(yard: Yard) -> None:
    """What is left out is ours; the policy is what the name stands for."""
    yard.far.reply(Reply(400), ANSWER)

    await chat(yard.port, "My aunt Cleo paints.", model="whole")

    first, second = (orjson.loads(received.body) for received in yard.far.received)
    assert ("cache_salt" in first, "cache_salt" in second) == (True, False)
    assert second["vllm_xargs"] == {"kv_policy": "full"}
    await yard.gateway.indexed()


@pytest.mark.parametrize("path", [b"/v1/completions", b"/v1/embeddings"])
async def test_other_paths_know_aliases_too(yard: Yard, path: bytes) -> None:
    """Also in a body that is larger than what is held of others."""
    text = b"word " * 30_000
    body = b'{"input":"%s","model":"far"}' % text

    await ask(yard.port, b"POST", path, body, (KEY, JSON))

    assert yard.far.received[0].body == b'{"input":"%s","model":"far/model"}' % text


async def test_a_model_of_another_worker_is_found_by_its_own_name(yard: Yard) -> None:
    """As the list of models shows it; nothing is changed in the body."""
    await ask(yard.port, b"POST", CHAT, ODD % b"far/model", (KEY, OFF, JSON))

    assert (yard.far.received[0].body, yard.near.received) == (ODD % b"far/model", [])


@pytest.mark.parametrize("body", [ODD % b"near", ODD % b"unheard of", b'{"model": NaN}', b"{", b"[]", b"\xff"])
async def test_what_names_no_alias_passes_to_the_default_worker(yard: Yard, body: bytes) -> None:
    """Byte for byte, readable or not."""
    await ask(yard.port, b"POST", CHAT, body, (KEY, OFF, JSON))

    assert (yard.near.received[0].body, yard.far.received) == (body, [])


async def test_a_form_is_not_searched_for_an_alias(yard: Yard) -> None:
    """An upload passes as it is, of any size."""
    body = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nfar\r\n--x--\r\n' + b"\0" * 100_000
    kind = (b"content-type", b"multipart/form-data; boundary=x")

    await ask(yard.port, b"POST", b"/v1/audio/transcriptions", body, (KEY, kind))

    assert (yard.near.received[0].body, yard.far.received) == (body, [])


@pytest.mark.parametrize("headers", [(KEY, OFF, JSON), (KEY, JSON)], ids=["off", "on"])
async def test_a_policy_that_no_worker_has_is_not_found(yard: Yard, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """As OpenAI words it, and nobody is asked under another policy."""
    answer = await ask(yard.port, b"POST", CHAT, ODD % b"surprised", headers)

    error = answer.json()["error"]
    assert (answer.status, error["type"], error["code"], error["param"]) == (
        404,
        "invalid_request_error",
        "model_not_found",
        "model",
    )
    assert "surprisal" in error["message"]
    assert yard.near.received == yard.far.received == []


async def test_every_worker_gets_its_own_key_and_no_other(tmp_path: Path) -> None:
    """The caller's goes to neither."""
    async with scripted_upstream() as near, scripted_upstream() as far:
        near.models, far.models = models(NEAR), models(FAR)
        aliases = orjson.dumps({"far": {"url": far.url, "key": "far-key"}}).decode()
        async with running_gateway(tmp_path, near.url, upstream_key="near-key", workers=aliases) as gateway:
            await known(gateway)
            for model in ("near", "far"):
                await chat(gateway.port, "Hello there", OFF, (b"content-type", b"application/json"), model=model)

    keys = [worker.received[0].header(b"authorization") for worker in (near, far)]
    assert keys == [b"Bearer near-key", b"Bearer far-key"]


async def test_a_body_too_large_to_find_its_model_in_is_refused(tmp_path: Path) -> None:
    """It may name an alias, and then no other worker may answer it; an upload of that size passes."""
    async with scripted_upstream() as near:
        gateway = running_gateway(tmp_path, near.url, workers='{"x":{"policy":"full"}}', body_limit=1000)
        async with gateway as running:
            body = b'{"messages":[{"role":"user","content":"%s"}],"model":"x"}' % (b"word " * 1000)
            refused = [await ask(running.port, b"POST", p, body, (KEY, JSON)) for p in (CHAT, b"/v1/completions")]
            passed = await ask(running.port, b"POST", b"/v1/files", body, (KEY,))

    assert [answer.status for answer in refused] == [413, 413]
    assert (passed.status, [received.target for received in near.received]) == (200, [b"/v1/files"])


async def test_a_dry_run_shows_what_an_alias_would_be_sent(yard: Yard) -> None:
    """The name there, and the policy."""
    async with yard.gateway.client() as client:
        body = {"model": "whole", "messages": [{"role": "user", "content": "Hello there"}]}
        told = (await client.post("/admin/recall", json=body)).json()

    shown = orjson.loads(told["body"])
    assert (shown["model"], shown["vllm_xargs"]) == ("far/model", {"kv_policy": "full"})
