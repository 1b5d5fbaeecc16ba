"""The shapes of /admin/tenants, /admin/keys and /admin/audit. No logic."""

from typing import Annotated

from pydantic import Field, StrictFloat

from gateway.routes.admin.models import Shape
from gateway.tenants.records import KeyCard, Kind, Role

_MONTH = 31 * 86_400
Amount = Annotated[int, Field(ge=0, le=1_000_000_000)]
Days = Annotated[int, Field(ge=0, le=36_500)]


class SomeLimits(Shape):
    """How much per minute; 0 for as much as there is."""

    requests_per_minute: Amount = 0
    tokens_per_minute: Amount = 0


class SomeQuota(Shape):
    """How many memories before new turns are not kept; 0 for any number."""

    memories_per_user: Amount = 0
    memories: Amount = 0


class SomeRetention(Shape):
    """After how many days memories go, and placements and traces; 0 for never."""

    memories_days: Days = 0
    traces_days: Days = 0


class TenantSettings(Shape):
    """All that is set for a tenant; what is left out is unlimited."""

    limits: SomeLimits = SomeLimits()
    quota: SomeQuota = SomeQuota()
    retention: SomeRetention = SomeRetention()


class NewKey(Shape):
    """A key to issue. `role` is for admin keys, and needed there."""

    kind: Kind
    role: Role | None = None
    label: str = Field("", max_length=200, description="To tell it from others; shown in lists.")
    limits: SomeLimits = SomeLimits()
    expires: str | StrictFloat | None = Field(None, description="ISO 8601, or seconds since 1970; never if left out.")


class Rotation(Shape):
    """For how many seconds the former key still opens."""

    overlap: float = Field(3600.0, ge=0, le=_MONTH)


class Issued(Shape):
    """A new key. `secret` is told here and nowhere else: what is kept is its digest."""

    secret: str
    key: KeyCard


class AuditLine(Shape):
    """Who did what to whom, when (seconds since 1970), and the status that was answered."""

    at: float
    who: str
    role: Role
    what: str
    tenant: str
    user: str | None
    subject: str
    target: str
    outcome: str


class Audit(Shape):
    """A page of the audit log, latest first."""

    items: list[AuditLine]
    cursor: str | None
