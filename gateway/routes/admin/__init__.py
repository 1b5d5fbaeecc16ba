"""/admin: what an operator may see and change of memory. Thin: parse, call one verb, render; never decides.

Every route takes the query parameters `tenant` and `user` (whose.py) and stands behind one door (door.py).
"""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from gateway.routes.admin.about import router as about
from gateway.routes.admin.forget import router as forget
from gateway.routes.admin.journal import router as journal
from gateway.routes.admin.memories import router as memories
from gateway.routes.admin.models import Refusal
from gateway.routes.admin.people import router as people
from gateway.routes.admin.recall import router as recall
from gateway.routes.admin.traces import router as traces
from gateway.routes.admin.transfer import router as transfer
from gateway.routes.admin.workers import router as workers

# Only for the API's description: a key is checked at the door, before a body is read.
_documented = HTTPBearer(auto_error=False, description="MNEME_ADMIN_KEY. Unset: loopback needs no key.")

admin = APIRouter(
    prefix="/admin",
    dependencies=[Depends(_documented)],
    responses={"4XX": {"model": Refusal, "description": "The caller can mend it; the message says how."}},
)
for room in (memories, transfer, people, forget, journal, traces, recall, about, workers):
    admin.include_router(room)
