"""The registry in the Redis that gateways share. Every change is one script, and durable as the connection promises.

Keys, all behind "<prefix>:{registry}:":

    tenants, tenant-names     name → tenant; the names in order
    cards, until, used        id → key, when it ends, when it was last used
    digests                   digest → id
    number, keys, keys:<tenant>   the last running number; ids by it, of all and of a tenant
    acts                      a stream, never trimmed
    outcomes, targets         an act's id → what came of it
    subjects                  HMAC → user
"""

from dataclasses import replace

from gateway.memory.records import Page
from gateway.memory.stores.codec import Codec, blob, text
from gateway.memory.stores.redis.connection import Connection
from gateway.tenants.records import Act, KeyCard, Logged, Tenant
from gateway.tenants.stores import paging

_tenants, _cards, _acts = Codec(Tenant), Codec(KeyCard), Codec(Act)

_BASE = """
local B = KEYS[1]
local function card(id)
  return {redis.call('HGET', B .. 'cards', id), redis.call('HGET', B .. 'until', id) or '',
    redis.call('HGET', B .. 'used', id) or '0'}
end
"""
# Only over what was read: two who change a tenant at once both count, one after the other.
_KEEP = f"""{_BASE}
local old = redis.call('HGET', B .. 'tenants', ARGV[1])
if (old or '') ~= ARGV[2] then return {{old}} end
redis.call('HSET', B .. 'tenants', ARGV[1], ARGV[3])
redis.call('ZADD', B .. 'tenant-names', 0, ARGV[1])
return false
"""
_TENANTS = f"""{_BASE}
local names = redis.call('ZRANGEBYLEX', B .. 'tenant-names', ARGV[1], '+', 'LIMIT', 0, tonumber(ARGV[2]))
local found = {{}}
for i, name in ipairs(names) do found[i] = {{name, redis.call('HGET', B .. 'tenants', name)}} end
return found
"""
_ISSUE = f"""{_BASE}
local id, digest, tenant, body, ends = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local number = redis.call('INCR', B .. 'number')
redis.call('HSET', B .. 'cards', id, body)
redis.call('HSET', B .. 'digests', digest, id)
if ends ~= '' then redis.call('HSET', B .. 'until', id, ends) end
redis.call('ZADD', B .. 'keys', number, id)
redis.call('ZADD', B .. 'keys:' .. tenant, number, id)
"""
_FIND = f"""{_BASE}
local id = redis.call('HGET', B .. 'digests', ARGV[1])
return id and card(id)
"""
_KEY = f"{_BASE} return redis.call('HEXISTS', B .. 'cards', ARGV[1]) == 1 and card(ARGV[1])"
_KEYS = f"""{_BASE}
local line = B .. ARGV[1]
local rows = redis.call('ZRANGEBYSCORE', line, '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[3]))
local found = {{}}
for i = 1, #rows, 2 do
  local row = card(rows[i])
  row[4] = rows[i + 1]
  table.insert(found, row)
end
return found
"""
_END = f"""{_BASE}
if redis.call('HEXISTS', B .. 'cards', ARGV[1]) == 0 then return 0 end
local known = redis.call('HGET', B .. 'until', ARGV[1])
if not known or tonumber(known) > tonumber(ARGV[2]) then redis.call('HSET', B .. 'until', ARGV[1], ARGV[2]) end
return 1
"""
_USED = f"""{_BASE}
local known = tonumber(redis.call('HGET', B .. 'used', ARGV[1]) or '0')
if redis.call('HEXISTS', B .. 'cards', ARGV[1]) == 1 and known < tonumber(ARGV[2]) then
  redis.call('HSET', B .. 'used', ARGV[1], ARGV[2])
end
"""
_BEGIN = f"""{_BASE}
if ARGV[3] ~= '' then redis.call('HSETNX', B .. 'subjects', ARGV[2], ARGV[3]) end
return redis.call('XADD', B .. 'acts', '*', 'act', ARGV[1], 'subject', ARGV[2])
"""
_CONCLUDE = f"""{_BASE}
if #redis.call('XRANGE', B .. 'acts', ARGV[1], ARGV[1]) == 0 then return end
if redis.call('HSETNX', B .. 'outcomes', ARGV[1], ARGV[2]) == 1 and ARGV[3] ~= '' then
  redis.call('HSET', B .. 'targets', ARGV[1], ARGV[3])
end
"""
_ACTS = f"""{_BASE}
local found = {{}}
for i, entry in ipairs(redis.call('XREVRANGE', B .. 'acts', ARGV[1], '-', 'COUNT', tonumber(ARGV[2]))) do
  found[i] = {{entry[1], entry[2][2], redis.call('HGET', B .. 'subjects', entry[2][4]),
    redis.call('HGET', B .. 'outcomes', entry[1]) or '', redis.call('HGET', B .. 'targets', entry[1]) or ''}}
end
return found
"""


class RedisRegistry:
    """See ports.Registry."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._base = b"%b:{registry}:" % connection.prefix.encode()
        self._keep = connection.durable(_KEEP)
        self._issue = connection.durable(_ISSUE)
        self._end = connection.durable(_END)
        self._begin = connection.durable(_BEGIN)
        self._conclude = connection.durable(_CONCLUDE)
        self._used = connection.script(_USED)
        self._tenants = connection.script(_TENANTS)
        self._find = connection.script(_FIND)
        self._key = connection.script(_KEY)
        self._keys = connection.script(_KEYS)
        self._acts = connection.script(_ACTS)

    async def keep_tenant(self, tenant: Tenant) -> Tenant:
        name = blob(tenant.name)
        before = await self._connection.call("HGET", self._base + b"tenants", name)
        while True:
            kept = replace(tenant, created=_tenants.decode(before).created) if before else tenant
            told = await self._keep(self._base, name, before or b"", _tenants.encode(kept))
            if told is None:
                return kept
            before = told[0] if told else None

    async def tenant(self, name: str) -> Tenant | None:
        body = await self._connection.call("HGET", self._base + b"tenants", blob(name))
        return _tenants.decode(body) if body else None

    async def tenants(self, *, cursor: str | None = None, limit: int = 50) -> Page[Tenant]:
        after = paging.unpack(cursor)
        rows = await self._tenants(self._base, b"-" if after is None else b"(" + after, limit + 1)
        found = tuple(tenant for _, body in rows[:limit] if (tenant := _tenants.decode_if_whole(body)))
        return Page(found, paging.pack(rows[limit - 1][0]) if len(rows) > limit else None)

    async def issue(self, digest: bytes, card: KeyCard) -> None:
        ends = b"" if card.until is None else repr(card.until).encode()
        await self._issue(self._base, blob(card.id), digest, blob(card.tenant), _cards.encode(card), ends)

    async def find(self, digest: bytes) -> KeyCard | None:
        row = await self._find(self._base, digest)
        return _card(*row) if row else None

    async def key(self, id: str) -> KeyCard | None:
        row = await self._key(self._base, blob(id))
        return _card(*row) if row else None

    async def keys(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[KeyCard]:
        line = b"keys" if tenant is None else b"keys:" + blob(tenant)
        rows = await self._keys(self._base, line, paging.number(cursor, 0), limit + 1)
        found = tuple(_card(*row[:3]) for row in rows[:limit])
        return Page(found, str(int(rows[limit - 1][3])) if len(rows) > limit else None)

    async def issued(self, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[bytes, KeyCard]]:
        page = await self.keys(cursor=cursor, limit=limit)
        known = await self._connection.call("HGETALL", self._base + b"digests")  # all of them: keys are few
        digests = {id: digest for digest, id in known.items()}
        return Page(tuple((digests[blob(card.id)], card) for card in page.items), page.cursor)

    async def end(self, id: str, at: float) -> bool:
        return bool(await self._end(self._base, blob(id), repr(at)))

    async def used(self, id: str, at: float) -> None:
        await self._used(self._base, blob(id), repr(at))

    async def begin(self, act: Act, user: str) -> str:
        id = await self._begin(self._base, _acts.encode(act), act.subject, blob(user))
        return str(id.decode())

    async def conclude(self, id: str, outcome: str, target: str = "") -> None:
        await self._conclude(self._base, id, outcome, blob(target))

    async def acts(self, *, cursor: str | None = None, limit: int = 50) -> Page[Logged]:
        rows = await self._acts(self._base, _before(cursor), limit + 1)
        found = tuple(logged for _, *row in rows[:limit] if (logged := _logged(*row)))
        return Page(found, paging.pack(rows[limit - 1][0]) if len(rows) > limit else None)

    async def unname(self, subject: str) -> None:
        await self._connection.call("HDEL", self._base + b"subjects", subject)

    async def ping(self) -> None:
        await self._connection.ping()


def _card(body: bytes, until: bytes, used: bytes) -> KeyCard:
    return replace(_cards.decode(body), until=float(until) if until else None, used=float(used))


def _logged(body: bytes, user: bytes | None, outcome: bytes, target: bytes) -> Logged | None:
    act = _acts.decode_if_whole(body)
    return Logged(act, None if user is None else text(user), outcome.decode(), text(target)) if act else None


def _before(cursor: str | None) -> bytes:
    """From the act before the one that a cursor names."""
    id = paging.unpack(cursor)
    if id is None:
        return b"+"
    moment, dash, number = id.partition(b"-")
    paging.number(moment.decode("latin-1"), 0)
    paging.number(number.decode("latin-1"), 0)
    return b"(" + moment + dash + number
