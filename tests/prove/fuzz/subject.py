"""A gateway under fuzzing: one real process in front of a scripted worker, and how a thread of ours speaks to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gateway.settings import LOCAL_KEY
from tests.prove.fuzz.found import Found, Hung
from tests.support.gateway import spawned_gateway
from tests.support.raw import Headers, Response, ask
from tests.support.upstream import Reply, Upstream, scripted_upstream

T = TypeVar("T")
TENANT = "fuzz"
KEY, SINGLE, STEADY, ADMIN = "fuzz-key", "fuzz-single-key", "steady-key", "fuzz-admin-key"
BODY_LIMIT = 1 << 16
SILENCE = 1.0
"""Seconds for which the gateway waits for more of a body. It waits twice as long for its worker, so that it is clear
whose silence it was."""
PATIENCE = 60.0
_CUT = "ASGI callable returned without completing response."
"""How uvicorn words that an answer was cut because the worker's was."""
ANSWER = Reply(
    chunks=(
        b'{"id":"c","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",'
        b'"message":{"role":"assistant","content":"Noted, it stands there."}}]}',
    )
)
"""What the worker says when nothing else is asked of it."""
_MODELS = Reply(chunks=(b'{"object":"list","data":[{"id":"m","object":"model","owned_by":"vllm"}]}',))
ALIAS = "another"
"""A name for the worker's model, where there are names."""
_SETUPS: dict[str, dict[str, str]] = {
    "keyed": {"keys": f"{KEY}:{TENANT},{SINGLE}:{TENANT}:single-user,{STEADY}:steady", "admin_key": ADMIN},
    "local": {"context_tokens": "600"},
}
"""One gateway with keys and an alias; one that needs none, and leaves out the middle of what is long."""


@dataclass
class Subject:
    """`key` opens /v1, `admin` is the Authorization of an operator, if one is needed. The worker is of our own process
    and answers in `loop`; cases are tried in another thread."""

    name: str
    url: str
    pid: int
    log: Path
    worker: Upstream
    loop: asyncio.AbstractEventLoop
    key: str
    admin: str | None
    told: dict[str, list[str]] = field(default_factory=dict)
    """Ids and cursors that answers told of, by what they name."""
    _read: int = 0

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        return int(self.url.rpartition(":")[2])

    @property
    def bearer(self) -> tuple[bytes, bytes]:
        """The header that opens /v1."""
        return b"authorization", b"Bearer " + self.key.encode()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in the loop; for the other thread. Found, if no answer comes; Hung, if that is because it hung up."""
        try:
            return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, PATIENCE), self.loop).result()
        except TimeoutError:
            raise Found("other", f"no answer in {PATIENCE:g} s") from None
        except asyncio.IncompleteReadError as cut:
            raise Hung("other", f"the connection was closed after {cut.partial[:200]!r}") from None
        except ConnectionError as reset:
            raise Hung("other", f"the connection was cut: {type(reset).__name__}") from None

    @property
    def tenant(self) -> str:
        """Whose key it is."""
        return TENANT if self.admin else "local"

    @property
    def steady(self) -> tuple[bytes, bytes]:
        """The header of somebody whom no case names."""
        return b"authorization", b"Bearer " + (STEADY if self.admin else LOCAL_KEY).encode()

    async def tell(self, method: bytes, target: bytes, body: bytes = b"", headers: Headers = ()) -> Response:
        """A whole request and its answer, in the loop."""
        return await asyncio.wait_for(ask(self.port, method, target, body, headers), PATIENCE)

    def ask(self, method: bytes, target: bytes, body: bytes = b"", headers: Headers = ()) -> Response:
        """A whole request and its answer, for the other thread."""
        return self.wait(self.tell(method, target, body, headers))

    def insist(self, method: bytes, target: bytes, body: bytes = b"", headers: Headers = ()) -> Response:
        """The same, and again where our worker was too slow: this machine may have other things to do."""
        answer = self.ask(method, target, body, headers)
        return self.ask(method, target, body, headers) if b'"upstream_timeout"' in answer.body else answer

    def script(self, reply: Reply) -> None:
        """What the worker answers from now on; forgets what it received."""
        self.worker.received.clear()
        self.worker.default = reply

    def heal(self) -> None:
        """The worker is itself again."""
        self.script(ANSWER)
        self.worker.models, self.worker.kv, self.worker.tokenize = _MODELS, Upstream().kv, Upstream().tokenize

    def complaints(self) -> list[str]:
        """What was logged since the last time that is an error or has a stack."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            lines = log.read().splitlines()
            self._read = log.tell()
        return [text for text in map(_complaint, lines) if text]


def _complaint(line: bytes) -> str:
    try:
        told = json.loads(line)
    except json.JSONDecodeError:
        return line.decode("utf-8", "replace")  # whoever writes past the log has nothing good to tell
    if told["event"] == _CUT:
        return ""
    return "" if told["level"] in ("info", "warning") and "error" not in told else json.dumps(told)


@asynccontextmanager
async def subjects(folder: Path) -> AsyncIterator[list[Subject]]:
    """One of each setup, each with a worker of its own."""
    async with _subject(folder, "keyed") as keyed, _subject(folder, "local") as local:
        yield [keyed, local]


@asynccontextmanager
async def _subject(folder: Path, name: str) -> AsyncIterator[Subject]:
    log, patience = folder / f"{name}.log", str(2 * SILENCE)
    knobs = {
        "body_limit": str(BODY_LIMIT),
        "body_timeout": str(SILENCE),
        "first_byte_timeout": patience,
        "idle_timeout": patience,
        "recall_deadline": "10",
        "reflect_idle": "0",
        "log": "json",
        **_SETUPS[name],
    }
    with log.open("wb") as stderr:
        async with (
            scripted_upstream() as worker,
            spawned_gateway(folder / name, stderr=stderr, **_pointed(knobs, worker.url)) as gateway,
        ):
            subject = Subject(
                name,
                gateway.url,
                gateway.process.pid,
                log,
                worker,
                asyncio.get_running_loop(),
                KEY if name == "keyed" else LOCAL_KEY,
                f"Bearer {ADMIN}" if name == "keyed" else None,
            )
            subject.heal()
            yield subject


def _pointed(knobs: dict[str, str], worker: str) -> dict[str, str]:
    """With the worker's address in them."""
    aliases = {"workers": json.dumps({ALIAS: {"url": worker, "model": "m"}})} if "keys" in knobs else {}
    return {**knobs, **aliases, "upstream": worker}
