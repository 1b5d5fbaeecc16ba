"""A user who leaves one word of their own everywhere that a user can leave one: in their name, what they say and how
they call it, what is noted of them, what is deleted, dead or still waits. Knows no store."""

import asyncio
import random
import string
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

TENANT, KEY = "acme", "a key of the tests"
HELD = "Take your time"
"""What is said so is not answered to the end until the test wants it."""
TOUGH = "indigestible"
"""What no embedder takes: it is tried again, and in the end it is dead."""
_LETTERS = 14


def word(seed: int) -> str:
    """Letters that stand nowhere else."""
    dice = random.Random(seed)
    return "".join(dice.choice(string.ascii_lowercase) for _ in range(_LETTERS))


@dataclass(frozen=True)
class Life:
    """`word` stands in all that this user says, and in their name; `clients` lead to the gateways, by turns."""

    word: str
    clients: tuple[httpx.AsyncClient, ...]

    @property
    def name(self) -> str:
        """As they give it."""
        return f"user {self.word}"

    @property
    def whose(self) -> dict[str, str]:
        """The query of /admin."""
        return {"tenant": TENANT, "user": self.name}

    async def told(self) -> None:
        """Turns of all kinds, in a named session and in a conversation that is resent."""
        said = f"My {self.word} boat lies in Riga."
        reply = await self._say(0, said, session=f"talk of {self.word}")
        await self._say(1, f"It is painted {self.word} green.", session=f"talk of {self.word}", stream=True)
        past = [{"role": "user", "content": said}, {"role": "assistant", "content": reply}]
        await self._say(0, f"Its captain is called {self.word}.", history=past)
        await self._say(1, f"Nobody needs to know of {self.word}.")

    async def noted(self) -> None:
        """Notes, pinned, edited; memories edited and deleted."""
        note = await self._admin("POST", "/memories", {"text": f"Asks about {self.word}.", "pinned": True})
        changed = {"text": f"Likes {self.word}."}
        await self._admin("PATCH", f"/memories/{note['id']}", changed, headers={"if-match": "*"})
        first, *_, last = (await self._admin("GET", "/memories"))["items"]
        await self._admin("PATCH", f"/memories/{first['id']}", changed, headers={"if-match": "*"})
        await self._admin("DELETE", f"/memories/{last['id']}")

    async def asked(self) -> None:
        """So that something is recalled, placed and traced."""
        await self._say(0, "Where does my boat lie?", session=f"talk of {self.word}")
        await self._say(1, "Who is the captain of my boat?", stream=True)

    async def failed(self) -> None:
        """A turn that cannot be indexed."""
        await self._say(0, f"This is {TOUGH}: {self.word}.", session=f"talk of {self.word}")

    @asynccontextmanager
    async def under_way(self, release: asyncio.Event) -> AsyncIterator[None]:
        """A stream, a whole answer and a stream that is left in its middle, all begun; when the block ends the two are
        answered to their end, and the third is not."""
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(self._stream(f"{HELD}: how is my {self.word} boat, {number}?"))
                for number in range(2)
            ]
            pieces = [stream.aiter_bytes() for stream in streams]
            for each in pieces:
                await anext(each)
            whole = asyncio.create_task(self._say(1, f"{HELD}: who is the captain of my {self.word} boat?"))
            yield
            await streams[1].aclose()
            release.set()
            await whole
            async for _ in pieces[0]:
                pass

    async def forgotten(self) -> dict[str, Any]:
        """The certificate, from the gateway that most of the turns did not go through."""
        certificate: dict[str, Any] = await self._admin("POST", "/forget", client=-1)
        return certificate

    async def verdict(self, certificate: Any) -> dict[str, Any]:
        """What is said of it."""
        told: dict[str, Any] = await self._admin("POST", "/forget/verify", certificate)
        return told

    async def again(self) -> None:
        """Speak as somebody new."""
        await self._say(0, "Where does my boat lie?")

    async def _say(
        self, client: int, text: str, *, session: str = "", stream: bool = False, history: list[Any] | None = None
    ) -> str:
        body = {"model": "m", "messages": [*(history or []), {"role": "user", "content": text}], "stream": stream}
        said = await self._client(client).post("/v1/chat/completions", json=body, headers=self._headers(session))
        assert said.status_code == 200, said.text
        return "" if stream else str(said.json()["choices"][0]["message"]["content"])

    def _stream(self, text: str) -> Any:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": True}
        return self._client(0).stream("POST", "/v1/chat/completions", json=body, headers=self._headers(""))

    def _headers(self, session: str) -> dict[str, str]:
        named = {"x-mneme-session": session} if session else {}
        return {"authorization": f"Bearer {KEY}", "x-mneme-user": self.name, **named}

    async def _admin(self, method: str, path: str, body: Any = None, *, client: int = 0, **options: Any) -> Any:
        sent = {} if body is None else {"json": body}
        told = await self._client(client).request(method, f"/admin{path}", params=self.whose, **sent, **options)
        assert told.status_code in (200, 201), told.text
        return told.json()

    def _client(self, number: int) -> httpx.AsyncClient:
        return self.clients[number % len(self.clients)]
