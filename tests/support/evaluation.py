"""Services as `mneme eval` opens them, for evaluations of made-up talks; and LoCoMo-shaped files of such."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.services import Services
from gateway.settings import Settings
from gateway.wiring import open_services
from tests.support.gateway import ROOT

NOWHERE = "http://127.0.0.1:9/v1"


@asynccontextmanager
async def small(data: Path, **changes: Any) -> AsyncIterator[Services]:
    """With the embedder's built graph from where the other tests keep it."""
    models = ROOT / "build" / "test-models"
    models.mkdir(parents=True, exist_ok=True)
    (data / "models").symlink_to(models)
    chosen: dict[str, Any] = {"data": data, "upstream": NOWHERE, **changes}
    async with open_services(Settings(**chosen)) as services:
        yield services


@asynccontextmanager
async def unopened(data: Path) -> AsyncIterator[Services]:
    """No services: whoever needs them fails."""
    raise AssertionError("nothing had to be told or asked")
    yield


def conversation(name: str, facts: Sequence[str], asked: Mapping[str, int]) -> dict[str, Any]:
    """One session of a single speaker; `asked` has questions with the place, from 1, of the turn that answers each."""
    return {
        "sample_id": name,
        "conversation": {
            "session_1": [{"speaker": "Kim", "dia_id": f"D1:{i}", "text": t} for i, t in enumerate(facts, 1)],
            "session_1_date_time": "1:56 pm on 8 May, 2024",
        },
        "qa": [{"question": q, "category": 4, "evidence": [f"D1:{place}"]} for q, place in asked.items()],
    }


def written(path: Path, samples: Sequence[Mapping[str, Any]]) -> Path:
    """The file of these conversations."""
    path.write_text(json.dumps(samples))
    return path
