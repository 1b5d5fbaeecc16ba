"""/admin/vitals: how this gateway process fares, and how it did for the last hour. Knows no store and no other process:
behind a balancer it is one replica's word."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from gateway.pulse import EVERY, Beat, Outcomes, Quantiles
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import shown
from gateway.routes.admin.render import answer
from gateway.routes.admin.vital_shapes import Beats
from gateway.routes.admin.whose import Served

router = APIRouter(tags=["about"], route_class=Guarded)

_BEAT = Beat(
    at=1_777_852_800.0,
    pending=2,
    dead=0,
    oldest=0.4,
    due=5,
    rss=310_000_000,
    answers=1200,
    errors=3,
    broke=1,
    recalls=Outcomes(hit=700, silent=350, skipped=2),
    injected=90_000,
    prompt=600_000,
    cached=450_000,
    turns=1100,
    indexed=1098,
    loop=Quantiles(0.3, 0.9, 1.0),
    verbs={"recall": Quantiles(4.1, 8.9, 12.0)},
)
_ADMIT = {"edges": [0.5, 1.0, 2.0], "counts": [1190, 8, 2, 0]}
_SHOWN = {"process": "gateway-0:1", "every": EVERY, "beats": [_BEAT], "histograms": {"admit": _ADMIT}}


@router.get("/vitals", response_model=Beats, responses=shown(_SHOWN))
async def vitals(
    services: Served,
    since: Annotated[
        float, Query(ge=0, allow_inf_nan=False, description="Beats after this moment only, in seconds since 1970.")
    ] = 0.0,
) -> Response:
    """This process's beats, earliest first, and how long every verb took since it began, as a histogram: `counts` of
    answers up to each of the `edges` (milliseconds), the last one beyond them. Other replicas tell their own."""
    pulse = services.pulse
    told = {"process": pulse.process, "every": EVERY, "beats": pulse.since(since), "histograms": pulse.verbs()}
    return answer(told)
