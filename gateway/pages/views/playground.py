"""What a worker would be sent for a message, under one policy beside another. Nothing is sent, and nothing is kept."""

import asyncio
from time import perf_counter
from typing import Any

import orjson
from starlette.responses import Response

from gateway.errors import BadRequest, Turned
from gateway.pages.views.people import people
from gateway.pages.visitor import Visitor

_MOST = 4


async def ask(visitor: Visitor) -> Response:
    """The form."""
    crowd, (policies, models) = await asyncio.gather(people(visitor), _choices(visitor))
    ticked = {visitor.asked("policy")} - {""} or {card["name"] for card in policies if card["default"]}
    return visitor.page("playground.html", people=crowd, policies=policies, models=models, ticked=ticked)


async def show(visitor: Visitor) -> Response:
    """What each of the chosen policies makes of the message."""
    names = [value for name, value in visitor.form if name == "policy"][:_MOST]
    if not visitor.sent("message").strip() or not names:
        raise BadRequest("Write a message, and tick a policy.")
    prompts = await asyncio.gather(*(_prompt(visitor, name) for name in names))
    return visitor.page("parts/prompts.html", prompts=prompts)


async def _prompt(visitor: Visitor, policy: str) -> dict[str, Any]:
    memory: dict[str, Any] = {"policy": policy}
    if budget := visitor.sent("tokens").strip():
        memory["tokens"] = int(budget) if budget.isascii() and budget.isdigit() else budget
    body = {
        "model": visitor.sent("model"),
        "messages": [{"role": "user", "content": visitor.sent("message")}],
        "memory": memory,
    }
    began = perf_counter()
    try:
        told = await visitor.api.post("/recall", body, session=visitor.sent("session"), **visitor.whose)
    except Turned as refused:
        return {"asked": policy, "refused": refused.message}
    took = (perf_counter() - began) * 1000
    sent = orjson.dumps(orjson.loads(told["body"]), option=orjson.OPT_INDENT_2).decode()
    return {**told, "asked": policy, "refused": "", "sent": sent, "took": took}


async def _choices(visitor: Visitor) -> tuple[list[dict[str, Any]], list[str]]:
    policies, workers = await asyncio.gather(visitor.api.get("/policies"), visitor.api.get("/workers"))
    models = [model["id"] for worker in workers["workers"] for model in worker["models"]]
    aliases = [alias["name"] for worker in workers["workers"] for alias in worker["aliases"]]
    return policies["policies"], [*dict.fromkeys(models + aliases)]
