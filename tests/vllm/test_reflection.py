"""Reflection that asks a real vLLM for JSON of a schema. The model knows nothing, so all that it says is nonsense of
the right shape: it must break nothing, under any policy that asks."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import openai
import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from gateway.memory.policies import TABLE
from tests.vllm.server import serving
from tests.vllm.stack.running import TENANTS, Stack, running_gateway, until
from tests.vllm.tiny import build

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

POLICIES = [name for name in TABLE if name not in ("none", "verbatim", "adaptive")]
ASKING = [name for name in POLICIES if name != "exprag"]
LONGEST = 16384
_SCHEMAS = '{"backend": "xgrammar", "disable_any_whitespace": true}'
_AT_ONCE = 4
_SHARP = 14.0
SAID = (
    "姉はリガの屋根で蜂を飼っている。" * 30,  # long in tokens, and short enough to stay in one piece
    "My sister Ada keeps four hives of bees on a roof in Riga.",
    "My sister Ada keeps four hives of bees on the roof in Riga.",
    "Please sort these towns by their size: Porto, Graz, Riga.",
)
LATER = (
    "My brother Olaf sails from Bergen to the Faroe Islands in May.",
    "Olaf has sold his boat and takes the ferry now.",
    "Ada has nine hives by now, and a bear came in March.",
    "Sort these by size too: Namur, Trier, Ghent.",
)


def chatter(folder: Path) -> Path:
    """A random Llama with a clock in it, that closes what JSON opens: without it greedy nonsense goes in circles and no
    text ends. Its first head sees how far BOS is away, by one frequency of RoPE; when the hand comes round, some six of
    twenty tokens, quotes, commas and brackets are what comes next."""
    build(folder, trained=LONGEST, heads=2, kv_heads=2, layers=1)
    path, vocabulary = folder / "model.safetensors", AutoTokenizer.from_pretrained(folder).get_vocab()
    weights = load_file(path)
    embedded, head = weights["model.embed_tokens.weight"], weights["lm_head.weight"]
    query, key, value, out = (weights[f"model.layers.0.self_attn.{part}_proj.weight"] for part in "qkvo")
    own = slice(0, 32)  # of the first head; the second one stays as it was
    embedded *= 6
    embedded[:, :3], embedded[:, 0], embedded[0, 1] = 0, 1, 4  # one; is it BOS?; what the clock says
    for rows in (query, key, value):
        rows[own], rows[:, :3] = 0, 0
    out[:, own], out[:3], head[:, :3] = 0, 0, 0
    weights["model.layers.0.mlp.down_proj.weight"][:3] = 0
    one, bos = (embedded[token, place] / embedded[token].square().mean().sqrt() for token, place in ((9, 0), (0, 1)))
    query[2, 0], key[2, 1], value[0, 1], out[2, 0] = 1 / one, _SHARP * 32**0.5 / bos, 1 / bos, 1
    for mark, weight in (('"', 8.0), ("}", 6.0), ("]", 8.0), (",", 3.6)):
        head[vocabulary[mark], 2] = weight
    head[vocabulary["]"], 0] = -4.0  # or no list would have anything in it
    save_file(weights, path, metadata={"format": "pt"})
    return folder


@dataclass
class Tap:
    """What stands between the gateway and the model: passes on, and keeps what was asked and answered."""

    url: str = ""
    kept: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)


@contextmanager
def tapped(worker: str) -> Iterator[Tap]:
    """In a thread of its own, until the end of the block."""
    tap = Tap()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = httpx.post(
                worker + self.path, content=body, headers={"content-type": "application/json"}, timeout=90
            )
            tap.kept.append((json.loads(body), answer.json()))
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    tap.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield tap
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Lived:
    """What one user went through under a policy: the modes of all answers, the calls of the model, and what /metrics
    says came of the looks, by result."""

    modes: list[str]
    calls: list[tuple[dict[str, Any], dict[str, Any]]]
    counted: int
    looks: Mapping[str, int]

    @property
    def whole(self) -> list[tuple[Any, Any]]:
        """(schema, text) of the calls whose answer came to its end."""
        choices = [
            (asked["response_format"]["json_schema"]["schema"], told["choices"][0]) for asked, told in self.calls
        ]
        return [(schema, one["message"]["content"]) for schema, one in choices if one["finish_reason"] == "stop"]

    @property
    def repairs(self) -> int:
        """Calls that ask for the same once more."""
        return sum("could not be used" in asked["messages"][-1]["content"] for asked, _ in self.calls)


@dataclass
class House:
    """The gateway, and what was lived in it."""

    stack: Stack
    tap: Tap
    lives: dict[str, Lived] = field(default_factory=dict)

    def live(self, policy: str) -> Lived:
        """Two batches under a policy; the last answer of the first is told to have failed. Each user has the policy's
        name. What was thought about is told of while it is thought about."""
        before, calls = self._counted(), len(self.tap.kept)
        modes = []
        with self.stack.client(policy) as client:
            for batch in (SAID, LATER):
                answers = [self._ask(client, text, policy) for text in batch]
                modes += [answer.headers["x-mneme-mode"] for answer in answers]
                self._feedback(policy, answers[-1].headers["x-mneme-trace"])
                assert until(self.settled)
        after = self._counted()
        looks = {
            result: after.get(key, 0) - before.get(key, 0)
            for result in ("applied", "failed")
            for key in [f'mneme_reflections_total{{policy="{policy}",result="{result}"}}']
        }
        name = "mneme_reflect_calls_total"
        return Lived(modes, self.tap.kept[calls:], after.get(name, 0) - before.get(name, 0), looks)

    def settled(self) -> bool:
        """Whether nothing is left to index or to think about."""
        stats = self.stack.admin("stats")
        return not stats["due"] and not stats["journal"]["pending"]

    def get(self, user: str, path: str, **query: str) -> Any:
        """What /admin tells of a user."""
        return self.stack.admin(path, user=user, **query)

    def _ask(self, client: openai.OpenAI, text: str, policy: str) -> Any:
        return client.chat.completions.with_raw_response.create(
            model="tiny",
            messages=[{"role": "user", "content": text}],
            max_tokens=12,
            extra_body={"memory": {"policy": policy}},
        )

    def _feedback(self, user: str, trace: str) -> None:
        told = {"trace": trace, "outcome": "failure", "text": "The order is wrong."}
        headers = {"authorization": f"Bearer {TENANTS[0]}-key", "x-mneme-user": user}
        httpx.post(f"{self.stack.gateway}/v1/feedback", json=told, headers=headers).raise_for_status()

    def _counted(self) -> dict[str, int]:
        page = httpx.get(f"{self.stack.gateway}/metrics").text
        return {name: int(float(value)) for name, value in re.findall(r"^(mneme_reflect\S+) (\S+)$", page, re.M)}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A life under every policy, one after the other; the table is printed."""
    folder, began = tmp_path_factory.mktemp("reflection"), time.monotonic()
    options = f"--kv full --max-model-len {LONGEST} --max-num-batched-tokens 2048 --scheduling-policy priority".split()
    model = chatter(folder / "model")
    with (
        serving(model, folder / "worker.log", *options, "--structured-outputs-config", _SCHEMAS) as worker,
        tapped(worker.url) as tap,
        running_gateway(
            *(folder, worker.url),
            REFLECT_MODEL="tiny",
            REFLECT_URL=f"{tap.url}/v1",
            REFLECT_TURNS=str(_AT_ONCE),
            REFLECT_IDLE="1",
            REFLECT_PRIORITY="1",
        ) as gateway,
    ):
        made = House(Stack(worker, gateway), tap)
        started = time.monotonic()
        made.lives |= {policy: made.live(policy) for policy in POLICIES}
        print(f"\n{table(made.lives)}\nstarted in {started - began:.0f} s, lived in {time.monotonic() - started:.0f} s")
        yield made


def table(lives: Mapping[str, Lived]) -> str:
    """A line per policy."""
    lines = ["| policy | calls | repairs | cut off | looks applied | looks failed |", "|---|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {name} | {life.counted} | {life.repairs} | {len(life.calls) - len(life.whole)} | "
        f"{life.looks['applied']} | {life.looks['failed']} |"
        for name, life in lives.items()
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("policy", POLICIES)
def test_answers_go_on_and_turns_stay(house: House, policy: str) -> None:
    """Every question is answered with memory on, every turn is found in its own words, and none is a dead letter."""
    turns = {memory["text"].strip() for memory in house.get(policy, "memories", kind="turn")["items"]}
    found = [hit["memory"]["text"] for hit in house.get(policy, "search", q=SAID[1], policy=policy, k="50")["hits"]]

    assert house.lives[policy].modes == ["on"] * len(SAID + LATER)
    assert {text.strip() for text in SAID + LATER} <= turns
    assert SAID[1] in found
    assert house.stack.admin("journal")["dead"] == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_what_was_made_rests_on_the_users_own_turns(house: House, policy: str) -> None:
    """Whatever it says; and no look ended by an exception."""
    own = {memory["id"] for memory in house.get(policy, "memories", kind="turn", limit="200")["items"]}
    made = house.get(policy, "memories", policy=policy, limit="200")["items"]
    errors = [each["error"] for each in house.get(policy, "reflections", limit="200")["items"]]

    assert all(memory["sources"] and own.issuperset(memory["sources"]) for memory in made)
    assert not [error for error in errors if error.isidentifier()]


@pytest.mark.parametrize("policy", ASKING)
def test_the_model_was_asked_for_json_of_a_schema(house: House, policy: str) -> None:
    """By `response_format`; and what it told has the schema, unless it was cut off."""
    life = house.lives[policy]

    assert life.calls
    assert life.counted == len(life.calls)
    for asked, _ in life.calls:
        form = asked["response_format"]
        assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
        assert asked["priority"] == 1  # behind what users wait for
    for schema, text in life.whole:
        jsonschema.validate(json.loads(text), schema)


def test_most_answers_came_to_their_end(house: House) -> None:
    """So that the claims are about something: answers have the schema, and policies made something of them."""
    lives = [house.lives[policy] for policy in ASKING]

    assert sum(len(life.whole) for life in lives) > 0.8 * sum(len(life.calls) for life in lives)
    assert sum(bool(house.get(policy, "memories", policy=policy)["items"]) for policy in ASKING) >= len(ASKING) / 2


def test_nonsense_is_taken_back(house: House) -> None:
    """A look that made something, of the first policy that has one: undone, it is gone."""
    policy, look = next(
        (policy, each)
        for policy in ASKING
        for each in house.get(policy, "reflections", state="applied")["items"]
        if each["made"] and not each["changed"]
    )
    made = {memory["id"] for memory in house.get(policy, f"reflections/{look['id']}")["after"]}
    whose = {"tenant": TENANTS[0], "user": policy}
    undone = httpx.post(f"{house.stack.gateway}/admin/reflections/{look['id']}/undo", params=whose).json()
    left = {memory["id"] for memory in house.get(policy, "memories", policy=policy)["items"]}

    assert undone["state"] == "undone"
    assert left.isdisjoint(made) or undone["refused"]
