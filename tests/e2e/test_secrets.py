"""Secrets are redacted before anything is stored: the worker gets them, the data directory never does."""

from pathlib import Path

import pytest

from tests.e2e.sdk import Conversation, sdk, tell
from tests.e2e.worker import Worker
from tests.support.gateway import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRETS = {
    "OpenAI key": ("sk-proj-Zq8vN3kLr5TzWm1XyB7cJh2DfGp9Qs4U", "My key is {}, keep it."),
    "AWS key": ("AKIAQ3EGWJ7HZL5VXN2B", "The bucket is opened by {}."),
    "GitHub token": ("ghp_q7Xv2Lk9TzWm1XyB7cJh2DfGp9Qs4Ub6Nd3R", "Push with {}"),
    "password": ("tr0ub4dor&3-zebra", "My password is {}."),
    "private key": (
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7canaryVJTUt9",
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    ),
    "in a long message": (
        "sk-proj-Lk9TzWm1XyB7cJh2DfGp9Qs4Ub6Nd3Rq",
        "Look at this. " * 400 + "My key is {}, keep it.",
    ),
}


def holding(folder: Path, text: str) -> list[str]:
    """The files below a folder in which the text stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "mneme.db" for path in files)
    return [path.name for path in files if text.encode() in path.read_bytes()]


@pytest.mark.parametrize("kind", SECRETS)
async def test_a_secret_reaches_the_worker_and_no_file(
    gateway: Running, worker: Worker, data: Path, user: str, kind: str
) -> None:
    """Told, indexed, recalled, traced, and said again by the worker: it stands in no file."""
    secret, sentence = SECRETS[kind]
    told = f"I water the ferns. {sentence.format(secret)}"
    worker.says = lambda body: f"I shall remember this: {sentence.format(secret)}"
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client)
        answered = await talk.say(told)
        await gateway.indexed()
        await tell(client, "What about the ferns that I water?")

    assert secret in answered
    assert worker.bodies[0]["messages"][0]["content"] == told
    assert "I water the ferns." in worker.prompts[-1] or kind == "in a long message"
    assert secret not in worker.prompts[-1]
    assert holding(data, secret) == []


async def test_closing_writes_no_secret_either(worker: Worker, tmp_path: Path) -> None:
    """What is flushed when the gateway ends is clean, and what was told beside the secret is there."""
    secret, sentence = SECRETS["OpenAI key"]
    async with running_gateway(tmp_path, worker.url) as own, sdk(f"{own.url}/v1") as client:
        await tell(client, f"I water the ferns. {sentence.format(secret)}")

    assert holding(tmp_path, secret) == []
    assert holding(tmp_path, "I water the ferns.") != []
