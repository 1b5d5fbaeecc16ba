"""The agenda's changes as Lua: each is done whole or not at all, also when its caller dies. Knows no reflection's text.

Full memory refuses a script only before its first write. What settles or erases begins with a removal, so it is never
refused.

Keys, all behind the base that KEYS[1] gives; `who` is a user of a tenant, joined(a, b) is "length of a:" a b:

    times         users who have due turns or unfinished reflections, by when their time comes
    leases        who → until when nobody else is given them, once they were claimed
    tries         who → how many tries have failed in a row
    due:<who>     the due turns by seq               dues:<who>     turn → joined(policy, stamp)
    waiting       how many turns of all users are due
    thought:<who> turn → the stamp under which it was thought about
    number        the last running number
    kept:<who>    the reflections' ids by number     bodies:<who>   id → the reflection
    intended:<who> those that are unfinished, by number
    rests:<who>   joined(source, id), in no order    sources:<who>  id → its sources (MessagePack)
    spent:joined(<tenant>,<day>)  calls, tokens; for some days
"""

_BASE = """
local B = KEYS[1]
local TIMES, LEASES, TRIES, WAITING = B .. 'times', B .. 'leases', B .. 'tries', B .. 'waiting'

local function joined(first, second) return #first .. ':' .. first .. second end
local function split(pair)
  local colon = string.find(pair, ':', 1, true)
  local size = tonumber(string.sub(pair, 1, colon - 1))
  return string.sub(pair, colon + 1, colon + size), string.sub(pair, colon + size + 1)
end

local function leave(who)  -- where nothing is left to be done about the user
  if redis.call('EXISTS', B .. 'due:' .. who, B .. 'intended:' .. who) == 0 then
    redis.call('ZREM', TIMES, who)
    redis.call('HDEL', LEASES, who)
    redis.call('HDEL', TRIES, who)
  end
end
local function undue(who, turn)
  if redis.call('ZREM', B .. 'due:' .. who, turn) == 1 then redis.call('DECR', WAITING) end
  redis.call('HDEL', B .. 'dues:' .. who, turn)
end
local function unkeep(who, id)
  redis.call('ZREM', B .. 'intended:' .. who, id)
  redis.call('ZREM', B .. 'kept:' .. who, id)
  redis.call('HDEL', B .. 'bodies:' .. who, id)
  local sources = redis.call('HGET', B .. 'sources:' .. who, id)
  for _, source in ipairs(sources and cmsgpack.unpack(sources) or {}) do
    redis.call('ZREM', B .. 'rests:' .. who, joined(source, id))
  end
  redis.call('HDEL', B .. 'sources:' .. who, id)
end
local function keep(who, id, number, body, at, intended, sources)
  redis.call('ZADD', B .. 'kept:' .. who, number, id)
  redis.call('HSET', B .. 'bodies:' .. who, id, body)
  redis.call('HSET', B .. 'sources:' .. who, id, cmsgpack.pack(sources))
  for _, source in ipairs(sources) do redis.call('ZADD', B .. 'rests:' .. who, 0, joined(source, id)) end
  if intended then
    redis.call('ZADD', B .. 'intended:' .. who, number, id)
    redis.call('ZADD', TIMES, 'NX', at, who)
  else leave(who) end
end
local function count(who)
  local known = redis.call('HLEN', B .. 'thought:' .. who) + redis.call('ZCARD', B .. 'kept:' .. who)
  for _, turn in ipairs(redis.call('HKEYS', B .. 'dues:' .. who)) do
    known = known + 1 - redis.call('HEXISTS', B .. 'thought:' .. who, turn)
  end
  return known
end
"""

ADD = f"""{_BASE}
local who, at, some = ARGV[1], ARGV[2], false
for i = 3, #ARGV, 4 do
  local turn, seq, policy, stamp = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('HGET', B .. 'thought:' .. who, turn) ~= stamp then
    some = true
    if redis.call('ZADD', B .. 'due:' .. who, seq, turn) == 1 then redis.call('INCR', WAITING) end
    redis.call('HSET', B .. 'dues:' .. who, turn, joined(policy, stamp))
  end
end
if some then
  local lease = redis.call('HGET', LEASES, who)
  if lease and tonumber(lease) > tonumber(at) then at = lease end
  redis.call('ZADD', TIMES, at, who)
end
return redis.call('ZCARD', B .. 'due:' .. who)
"""

WAKE = f"""{_BASE}
redis.call('HDEL', LEASES, ARGV[1])
redis.call('ZADD', TIMES, 'XX', ARGV[2], ARGV[1])
"""

CLAIM = f"""{_BASE}
local now, till = ARGV[1], ARGV[2]
local who = redis.call('ZRANGEBYSCORE', TIMES, '-inf', now, 'LIMIT', 0, 1)[1]
if not who then return false end
redis.call('ZADD', TIMES, till, who)
redis.call('HSET', LEASES, who, till)
return who
"""

DUE = f"""{_BASE}
local who, answer = ARGV[1], {{}}
local rows = redis.call('ZRANGEBYSCORE', B .. 'due:' .. who, '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #rows, 2 do
  local policy, stamp = split(redis.call('HGET', B .. 'dues:' .. who, rows[i]))
  answer[#answer + 1] = {{rows[i], rows[i + 1], policy, stamp}}
end
return answer
"""

DROP = f"""{_BASE}
for i = 2, #ARGV do undue(ARGV[1], ARGV[i]) end
leave(ARGV[1])
"""

TRIED = f"""{_BASE}
if not redis.call('ZSCORE', TIMES, ARGV[1]) then return 0 end
return redis.call('HINCRBY', TRIES, ARGV[1], 1)
"""

INTEND = f"""{_BASE}
local who, id, body, at, intended, turns = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1', tonumber(ARGV[6])
local stamps, sources = tonumber(ARGV[7]), {{}}
for i = 8, 7 + turns do
  if not redis.call('ZSCORE', B .. 'due:' .. who, ARGV[i]) then return 0 end
  local _, stamp = split(redis.call('HGET', B .. 'dues:' .. who, ARGV[i]))
  if stamps > 0 and ARGV[i + turns] ~= stamp then return 0 end
end
for i = 8 + turns + stamps, #ARGV do sources[#sources + 1] = ARGV[i] end
for i = 8, 7 + turns do
  local _, stamp = split(redis.call('HGET', B .. 'dues:' .. who, ARGV[i]))
  redis.call('HSET', B .. 'thought:' .. who, ARGV[i], stamp)
  undue(who, ARGV[i])
end
redis.call('HDEL', TRIES, who)
unkeep(who, id)
keep(who, id, redis.call('INCR', B .. 'number'), body, at, intended, sources)
return 1
"""

CONCLUDE = f"""{_BASE}
local who, id, body, at, intended, sources = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1', {{}}
local number = redis.call('ZSCORE', B .. 'kept:' .. who, id)
if not number then return end
for i = 6, #ARGV do sources[#sources + 1] = ARGV[i] end
unkeep(who, id)
keep(who, id, number, body, at, intended, sources)
"""

UNFINISHED = f"""{_BASE}
local answer = {{}}
for i, id in ipairs(redis.call('ZRANGE', B .. 'intended:' .. ARGV[1], 0, -1)) do
  answer[i] = {{id, redis.call('HGET', B .. 'bodies:' .. ARGV[1], id)}}
end
return answer
"""

BURY = f"""{_BASE}
for i = 2, #ARGV do unkeep(ARGV[1], ARGV[i]) end
leave(ARGV[1])
"""

REFLECTIONS = f"""{_BASE}
local who, before, limit, answer = ARGV[1], ARGV[2], ARGV[3], {{}}
local rows = redis.call('ZREVRANGEBYSCORE', B .. 'kept:' .. who, before, '-inf', 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #rows, 2 do
  answer[#answer + 1] = {{rows[i + 1], redis.call('HGET', B .. 'bodies:' .. who, rows[i])}}
end
return answer
"""

# What rests on a source begins with its name; no id holds the byte 255.
ERASE = f"""{_BASE}
local who, resting, gone = ARGV[1], {{}}, 0
for i = 2, #ARGV do
  undue(who, ARGV[i])
  redis.call('HDEL', B .. 'thought:' .. who, ARGV[i])
  local first = joined(ARGV[i], '')
  for _, pair in ipairs(redis.call('ZRANGEBYLEX', B .. 'rests:' .. who, '[' .. first, '(' .. first .. '\\255')) do
    local _, id = split(pair)
    gone = gone + 1
    unkeep(who, id)
  end
end
leave(who)
return gone
"""

COUNT = f"{_BASE} return count(ARGV[1])"

FORGET = f"""{_BASE}
local who = ARGV[1]
local known, due = count(who), redis.call('ZCARD', B .. 'due:' .. who)
for _, name in ipairs({{'due:', 'dues:', 'thought:', 'kept:', 'intended:', 'bodies:', 'rests:', 'sources:'}}) do
  redis.call('DEL', B .. name .. who)
end
redis.call('DECRBY', WAITING, due)
leave(who)
return known
"""

SPEND = f"""{_BASE}
local key = B .. 'spent:' .. joined(ARGV[1], ARGV[2])
local calls, tokens = redis.call('HINCRBY', key, 'calls', ARGV[3]), redis.call('HINCRBY', key, 'tokens', ARGV[4])
redis.call('EXPIRE', key, ARGV[5])
return {{calls, tokens}}
"""
