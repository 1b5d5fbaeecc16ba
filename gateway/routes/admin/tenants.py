"""/admin/tenants: who may use the gateway, how much per minute, and how much may be remembered of them for how long."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from gateway.admit import Quota
from gateway.memory.records import Page
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import shown
from gateway.routes.admin.render import answer
from gateway.routes.admin.tenant_shapes import TenantSettings
from gateway.routes.admin.whose import Cursor, Limit, Served, Tenant
from gateway.tenants import records

router = APIRouter(tags=["tenants"], route_class=Guarded)

_ACME = records.Tenant(
    "acme", 1_777_852_800.0, records.Limits(600, 200_000), Quota(10_000, 1_000_000), records.Retention(365, 30)
)
_SETTINGS = {
    "limits": {"requests_per_minute": 600, "tokens_per_minute": 200_000},
    "quota": {"memories_per_user": 10_000, "memories": 1_000_000},
    "retention": {"memories_days": 365, "traces_days": 30},
}


@router.get("/tenants", response_model=Page[records.Tenant], responses=shown(Page((_ACME,))))
async def list_tenants(services: Served, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Tenants that were made here, by name. One that only MNEME_KEYS names is missing until it is given settings."""
    return answer(await services.registry.tenants(cursor=cursor, limit=limit))


@router.put("/tenants", response_model=records.Tenant, responses=shown(_ACME))
async def keep_tenant(
    services: Served, tenant: Tenant, settings: Annotated[TenantSettings, Body(examples=[_SETTINGS])]
) -> Response:
    """Make the tenant, or set it anew: what is left out becomes unlimited. Gateways go by it within two seconds, and
    writers by its retention when they look for what is old the next time."""
    limits, quota = records.Limits(**settings.limits.model_dump()), Quota(**settings.quota.model_dump())
    retention = records.Retention(**settings.retention.model_dump())
    kept = records.Tenant(tenant, services.clock(), limits, quota, retention)
    return answer(await services.registry.keep_tenant(kept))
