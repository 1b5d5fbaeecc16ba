"""/admin/search: what a question finds. Asks as recall does, and keeps nothing."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from gateway.errors import BadRequest
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import HIT, shown
from gateway.routes.admin.models import Found
from gateway.routes.admin.render import answer
from gateway.routes.admin.which import Sought, moment
from gateway.routes.admin.whose import Served, Whose

router = APIRouter(tags=["memories"], route_class=Guarded)


@router.get("/search", response_model=Found, responses=shown({"policy": "verbatim", "hits": [HIT]}))
async def search_memories(
    services: Served,
    scope: Whose,
    only: Sought,
    q: Annotated[str, Query(min_length=1, max_length=8192, description="The question.", examples=["Where?"])],
    k: Annotated[int, Query(ge=1, le=200, description="Hits to show, best first.")] = 10,
    policy: Annotated[str | None, Query(description="A memory policy; the default one when left out.")] = None,
    as_of: Annotated[str | None, Query(max_length=64, description="What was believed then.")] = None,
) -> Response:
    """What recall finds for a question, with each signal's score, and why a hit would not enter a prompt. `as_of` (ISO
    8601, or seconds since 1970) asks for what was believed then. Filters leave what matches of what was found."""
    name = policy or services.story.default_policy
    if name not in services.policies:
        raise BadRequest(f"'policy' must be one of {', '.join(sorted(services.policies))}.", param="policy")
    recaller = services.story.rememberer.recaller
    recall = await recaller.recall(services.policies[name], scope, q, services.clock(), moment(as_of, "as_of"))
    hits = [hit for hit in recall.hits if only.admits(hit.memory)]
    return answer({"policy": name, "hits": hits[:k]})
