"""/admin: what an operator may see and change of memory. Thin: parse, call one verb, render; never decides.

Every route takes the query parameters `tenant` and `user` (whose.py), stands behind one door (door.py) and has a rule
(roles.py).
"""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from gateway.routes.admin.about import router as about
from gateway.routes.admin.audit import router as audit
from gateway.routes.admin.backup import router as backup
from gateway.routes.admin.bulk import router as bulk
from gateway.routes.admin.forget import router as forget
from gateway.routes.admin.journal import router as journal
from gateway.routes.admin.keys import router as keys
from gateway.routes.admin.me import router as me
from gateway.routes.admin.memories import router as memories
from gateway.routes.admin.models import Refusal
from gateway.routes.admin.past import router as past
from gateway.routes.admin.people import router as people
from gateway.routes.admin.recall import router as recall
from gateway.routes.admin.reflections import router as reflections
from gateway.routes.admin.search import router as search
from gateway.routes.admin.tenants import router as tenants
from gateway.routes.admin.traces import router as traces
from gateway.routes.admin.transfer import router as transfer
from gateway.routes.admin.vitals import router as vitals
from gateway.routes.admin.watches import router as watches
from gateway.routes.admin.workers import router as workers

# Only for the API's description: a key is checked at the door, before a body is read.
_documented = HTTPBearer(auto_error=False, description="MNEME_ADMIN_KEY, or an admin key. Unset: loopback needs none.")

admin = APIRouter(
    prefix="/admin",
    dependencies=[Depends(_documented)],
    responses={"4XX": {"model": Refusal, "description": "The caller can mend it; the message says how."}},
)
rooms = (memories, transfer, people, forget, journal, traces, recall, reflections, about, workers, tenants, keys)
for room in (*rooms, bulk, past, search, watches, audit, backup, me, vitals):
    admin.include_router(room)
