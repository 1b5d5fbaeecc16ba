"""Promise 5 with several keys: whose memory it is comes from the key and the named user, and from nothing else."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.sdk import sdk, tell
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYS = "key-acme:acme,key-beta:beta,key-solo:solo:single-user"
FACT = "My sister Ada keeps bees in Riga."
QUESTION = "Where does my sister Ada keep her bees?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(the_worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A gateway with two per-user keys and a single-user key."""
    async with running_gateway(tmp_path_factory.mktemp("keys"), the_worker.url, keys=KEYS) as running:
        yield running


async def test_nobody_named_means_no_memory(worker: Worker, shared: Running) -> None:
    """Without a user on a per-user key the answer comes, nothing is read or kept, and a header says why."""
    messages: Any = [{"role": "user", "content": FACT}]
    async with sdk(f"{shared.url}/v1", key="key-acme") as client:
        raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=messages)

    assert (raw.headers["x-mneme-mode"], raw.headers["x-mneme-skipped"]) == ("off", "no-user")
    assert worker.bodies == [{"messages": messages, "model": MODEL}]
    assert await shared.services.memories.users("acme") == {}
    assert (await shared.services.journal.lag()).pending == 0


async def test_a_single_user_key_needs_no_name(worker: Worker, shared: Running) -> None:
    """Its one user is remembered."""
    async with sdk(f"{shared.url}/v1", key="key-solo") as client:
        await tell(client, FACT)
        await tell(client, QUESTION)

    assert FACT in worker.prompts[-1]


async def test_users_of_one_tenant_are_apart(worker: Worker, shared: Running, user: str) -> None:
    """What one user told, another one with a name like it does not get."""
    async with sdk(f"{shared.url}/v1", key="key-acme") as client:
        await tell(client, FACT, user=user)
        await shared.indexed()
        for other in (user + "*", user + ":", user[:-1], f"acme:{user}", f"{user} OR 1=1"):
            await tell(client, QUESTION, user=other)

            assert FACT not in worker.prompts[-1]
        await tell(client, QUESTION, user=user)

    assert FACT in worker.prompts[-1]


async def test_the_same_user_id_in_two_tenants_is_two_users(worker: Worker, shared: Running, user: str) -> None:
    """Neither indexed nor pending turns cross over, and the prefix cache is salted apart."""
    async with sdk(f"{shared.url}/v1", key="key-acme", x_mneme_user=user) as acme:
        await tell(acme, FACT)
    async with sdk(f"{shared.url}/v1", key="key-beta", x_mneme_user=user) as beta:
        await tell(beta, QUESTION)
        await shared.indexed()
        await tell(beta, QUESTION + " Please!")

    assert not any(FACT in prompt for prompt in worker.prompts[1:])
    salts = [body["cache_salt"] for body in worker.bodies]
    assert salts[0] != salts[1] == salts[2]


async def test_a_body_cannot_choose_the_tenant(worker: Worker, shared: Running, user: str) -> None:
    """Naming another tenant anywhere in the request changes nothing."""
    async with sdk(f"{shared.url}/v1", key="key-acme", x_mneme_user=user) as acme:
        await tell(acme, FACT)
    async with sdk(f"{shared.url}/v1", key="key-beta", x_mneme_user=user, x_mneme_tenant="acme") as beta:
        await tell(beta, QUESTION, metadata={"tenant": "acme", "user_id": user}, extra_body={"tenant": "acme"})

    assert FACT not in worker.prompts[-1]


async def test_the_same_conversation_of_two_users_is_two_sessions(worker: Worker, shared: Running, user: str) -> None:
    """Word for word the same history: what was injected for one is not replayed for the other."""
    messages: Any = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "In Riga."},
        {"role": "user", "content": "Thank you."},
    ]
    async with sdk(f"{shared.url}/v1", key="key-acme") as client:
        await tell(client, FACT, user=user)
        await tell(client, QUESTION, user=user)
        await client.chat.completions.create(model=MODEL, messages=messages, user=user)
        await client.chat.completions.create(model=MODEL, messages=messages, user=f"{user}-2")

    assert FACT in worker.prompts[-2]
    assert FACT not in worker.prompts[-1]
