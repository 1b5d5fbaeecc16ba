"""Changes of sessions and traces as Lua: each is done whole or not at all. Knows no placement's text.

Keys, all behind the base of the tenant that KEYS[1] gives; joined(a, b) is "length of a:" a b:

    placed:<user>                 chain → joined(session, placement)
    line:joined(<user>,<session>) the session's chains by time
    sessions:<user>               the user's sessions by the time of their last turn
    gone:<digest of the user>     what was erased of late, by when that may be forgotten: "i" and an id
    forgotten                     see forgotten.py
    trace                         id → joined(user, joined(session, trace)), of all users
    kept                          all traces' ids by number; number is the last one
    traces:<user>                 the user's traces' ids by number
    users                         who has placements or traces, see users.py

Full memory refuses a script only before its first write. What erases begins with a removal, so it is never refused.
"""

from gateway.memory.stores.redis.forgotten import LUA

_OWN = """
local B = KEYS[1]
local function joined(first, second) return #first .. ':' .. first .. second end
local function split(pair)
  local colon = string.find(pair, ':', 1, true)
  local size = tonumber(string.sub(pair, 1, colon - 1))
  return string.sub(pair, colon + 1, colon + size), string.sub(pair, colon + size + 1)
end
local function leave(user)  -- if nothing is left
  if redis.call('EXISTS', B .. 'placed:' .. user, B .. 'traces:' .. user) == 0 then
    redis.call('ZREM', B .. 'users', user)
  end
end
local function unplace(user, chain)
  local old = redis.call('HGET', B .. 'placed:' .. user, chain)
  if not old then return end
  local session = split(old)
  local line = B .. 'line:' .. joined(user, session)
  redis.call('HDEL', B .. 'placed:' .. user, chain)
  redis.call('ZREM', line, chain)
  local last = redis.call('ZREVRANGE', line, 0, 0, 'WITHSCORES')[2]
  if last then redis.call('ZADD', B .. 'sessions:' .. user, last, session)
  else redis.call('ZREM', B .. 'sessions:' .. user, session) end
  leave(user)
end
local function untrace(user, id)
  redis.call('HDEL', B .. 'trace', id)
  redis.call('ZREM', B .. 'kept', id)
  redis.call('ZREM', B .. 'traces:' .. user, id)
  leave(user)
end
local function bar(user, now, grace, what)
  redis.call('ZREMRANGEBYSCORE', B .. 'gone:' .. redis.sha1hex(user), '-inf', now)
  redis.call('ZADD', B .. 'gone:' .. redis.sha1hex(user), string.format('%.17g', now + grace), what)
  redis.call('EXPIRE', B .. 'gone:' .. redis.sha1hex(user), math.ceil(grace))
end
local function amend(key, id, value)
  redis.call('HDEL', key, id)
  redis.call('HSET', key, id, value)
end
"""
_BASE = _OWN + LUA

PLACE = f"""{_BASE}
local now, user, chain, session, at = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local body = ARGV[7]
if outlived(user, ARGV[6]) then return end
local function gone(what)
  local till = redis.call('ZSCORE', B .. 'gone:' .. redis.sha1hex(user), what)
  return till and tonumber(till) > now
end
for i = 9, #ARGV do
  if gone('i' .. ARGV[i]) then body = ARGV[8] end
end
unplace(user, chain)
local line = B .. 'line:' .. joined(user, session)
redis.call('HSET', B .. 'placed:' .. user, chain, joined(session, body))
redis.call('ZADD', B .. 'users', 0, user)
redis.call('ZADD', line, at, chain)
redis.call('ZADD', B .. 'sessions:' .. user, redis.call('ZREVRANGE', line, 0, 0, 'WITHSCORES')[2], session)
"""

# From the session at `at` on, in a hundred of them, at most `room` turns: how many went, where to go on, if at all.
EXPIRE = f"""{_BASE}
local user, before, at, room, gone = ARGV[1], '(' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), 0
local sessions = redis.call('ZRANGE', B .. 'sessions:' .. user, at, at + 99)
for _, session in ipairs(sessions) do
  local line = B .. 'line:' .. joined(user, session)
  for _, chain in ipairs(redis.call('ZRANGEBYSCORE', line, '-inf', before, 'LIMIT', 0, room - gone)) do
    unplace(user, chain)
    gone = gone + 1
  end
  if gone >= room then return {{gone, at, 1}} end
  at = at + redis.call('EXISTS', line)
end
return {{gone, at, #sessions == 100 and 1 or 0}}
"""

LIST = f"""{_BASE}
for _, user in ipairs(ARGV) do
  redis.call('ZADD', B .. 'users', 0, user)
  leave(user)
end
"""

LENGTHS = f"""{_BASE}
local answer = {{}}
for i = 2, #ARGV do answer[i - 1] = redis.call('ZCARD', B .. 'line:' .. joined(ARGV[1], ARGV[i])) end
return answer
"""

BAR = f"""{_BASE}
for i = 4, #ARGV do bar(ARGV[3], tonumber(ARGV[1]), tonumber(ARGV[2]), 'i' .. ARGV[i]) end
"""

# Only while it is still what was judged; "" as the new body removes it.
AMEND_PLACED = f"""{_BASE}
local user, chain, old, new = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', B .. 'placed:' .. user, chain) ~= old then return 0 end
if new == '' then unplace(user, chain)
else amend(B .. 'placed:' .. user, chain, joined(split(old), new)) end
return 1
"""

AMEND_TRACE = f"""{_BASE}
local user, id, old, new = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', B .. 'trace', id) ~= old then return 0 end
if new == '' then untrace(user, id)
else
  local _, rest = split(old)
  amend(B .. 'trace', id, joined(user, joined(split(rest), new)))
end
return 1
"""

# Answers with what is there, if that is not what the caller knew of: it has to be completed, not replaced.
TRACE = f"""{_BASE}
local limit, user, session, id, body = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local known, again = ARGV[6], ARGV[7] == '1'
if outlived(user, ARGV[8]) then return false end
local old = redis.call('HGET', B .. 'trace', id)
if old then
  local owner = split(old)
  if owner ~= user then
    untrace(owner, id)
    old = false
  elseif old ~= known then return old end
end
if not old then
  if again then return false end
  local number = redis.call('INCR', B .. 'number')
  redis.call('ZADD', B .. 'kept', number, id)
  redis.call('ZADD', B .. 'traces:' .. user, number, id)
end
redis.call('ZADD', B .. 'users', 0, user)
redis.call('HSET', B .. 'trace', id, joined(user, joined(session, body)))
while redis.call('ZCARD', B .. 'kept') > limit do
  local oldest = redis.call('ZRANGE', B .. 'kept', 0, 0)[1]
  untrace(split(redis.call('HGET', B .. 'trace', oldest)), oldest)
end
return false
"""

TRACES = f"""{_BASE}
local user, every, session, limit = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local answer, at, ids = {{}}, 0, nil
repeat
  ids = redis.call('ZREVRANGE', B .. 'traces:' .. user, at, at + 99)
  for _, id in ipairs(ids) do
    local _, rest = split(redis.call('HGET', B .. 'trace', id))
    local of, body = split(rest)
    if (every or of == session) and #answer < limit then answer[#answer + 1] = body end
  end
  at = at + 100
until #ids < 100 or #answer >= limit
return answer
"""

COUNT = f"""{_BASE}
return redis.call('HLEN', B .. 'placed:' .. ARGV[1]) + redis.call('ZCARD', B .. 'traces:' .. ARGV[1])
"""

FORGET = f"""{_BASE}
local user = ARGV[1]
stamp(user)
local count = redis.call('HLEN', B .. 'placed:' .. user) + redis.call('ZCARD', B .. 'traces:' .. user)
for _, session in ipairs(redis.call('ZRANGE', B .. 'sessions:' .. user, 0, -1)) do
  redis.call('DEL', B .. 'line:' .. joined(user, session))
end
for _, id in ipairs(redis.call('ZRANGE', B .. 'traces:' .. user, 0, -1)) do untrace(user, id) end
redis.call('DEL', B .. 'placed:' .. user, B .. 'sessions:' .. user, B .. 'gone:' .. redis.sha1hex(user))
leave(user)
return count
"""
