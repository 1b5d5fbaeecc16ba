"""The journal's changes as Lua: each is done whole or not at all, also when its caller dies. Knows no turn's text.

Full memory refuses a script only before its first write. What settles or erases begins with a removal, so it is never
refused.

Keys, all behind the base that KEYS[1] gives; `who` is a user of a tenant:

    rows:<who>    id → seq, state, revision, tries, due, since, error (MessagePack)
    bodies:<who>  id → "seq:" and the turn
    wait:<who>    the pending turns' ids by seq          since  all pending turns' seqs by how long they have waited
    dead:<who>    the dead turns' ids by seq             dead   all dead turns, (who, id), by seq
    seq           the last running number                scopes  who has turns; listed: all who do, see evidence.py
    oldest        who → none of their turns was said before that; nothing where nobody has looked
    line          a stream: users who have turns that are due, each once; its group "writers" says who has whom
    standing      who → the user's entry in the line     later  users whose turns are all delayed, by when they are due
    holders       who → who holds the user               holds  held users, by when that ends (the server's ms)
    wanted        users whom somebody waits to hold, by when that is no longer known (the server's ms)
    forgotten     see forgotten.py
"""

from gateway.memory.stores.redis.forgotten import LUA

_BASE = """
local B, GROUP = KEYS[1], 'writers'
local LINE, STANDING, LATER, SINCE, DEAD = B .. 'line', B .. 'standing', B .. 'later', B .. 'since', B .. 'dead'
local HOLDERS, HOLDS, WANTED = B .. 'holders', B .. 'holds', B .. 'wanted'
local SCOPES, OLDEST = B .. 'scopes', B .. 'oldest'
local SEQ, STATE, REVISION, TRIES, DUE, FIRST, ERROR = 1, 2, 3, 4, 5, 6, 7

local function joined(first, second) return #first .. ':' .. first .. second end
local function split(pair)
  local colon = string.find(pair, ':', 1, true)
  local size = tonumber(string.sub(pair, 1, colon - 1))
  return string.sub(pair, colon + 1, colon + size), string.sub(pair, colon + size + 1)
end

local function row_of(who, id)
  local raw = redis.call('HGET', B .. 'rows:' .. who, id)
  return raw and cmsgpack.unpack(raw)
end
local function keep(who, id, row) redis.call('HSET', B .. 'rows:' .. who, id, cmsgpack.pack(row)) end

local function leave(who)
  redis.call('ZREM', LATER, who)
  local entry = redis.call('HGET', STANDING, who)
  if entry then
    redis.call('XACK', LINE, GROUP, entry)
    redis.call('XDEL', LINE, entry)
    redis.call('HDEL', STANDING, who)
  end
end
local function join(who)  -- who is held joins when that ends
  if redis.call('HEXISTS', STANDING, who) == 0 and redis.call('HEXISTS', HOLDERS, who) == 0 then
    redis.call('ZREM', LATER, who)
    redis.call('HSET', STANDING, who, redis.call('XADD', LINE, '*', 'who', who))
  end
end
local function holder(who)  -- the entry, who has it, and for how many milliseconds; nothing while nobody has it
  local entry = redis.call('HGET', STANDING, who)
  local held = entry and redis.call('XPENDING', LINE, GROUP, entry, entry, 1)[1]
  if held then return entry, held[2], held[3] end
end
local function clock()
  local seconds, micros = unpack(redis.call('TIME'))
  return seconds * 1000 + math.floor(micros / 1000)
end
local function held(who)  -- by whom; nothing once that is over
  local till = redis.call('ZSCORE', HOLDS, who)
  return till and tonumber(till) > clock() and redis.call('HGET', HOLDERS, who)
end
local function settle(who, now)  -- nobody has the user any more: behind the others, aside until due, or out
  leave(who)
  if redis.call('HEXISTS', HOLDERS, who) == 1 then return end
  local at, first, ids = 0, nil, nil
  repeat
    ids = redis.call('ZRANGE', B .. 'wait:' .. who, at, at + 99)
    for _, id in ipairs(ids) do
      local due = row_of(who, id)[DUE]
      if due <= now then return join(who) end
      if not first or due < first then first = due end
    end
    at = at + 100
  until #ids < 100
  if first then redis.call('ZADD', LATER, string.format('%.17g', first), who) end
end

local function unhold(who, now)
  redis.call('ZREM', HOLDS, who)
  redis.call('HDEL', HOLDERS, who)
  settle(who, now)
end

local function wait(who, id, row)
  if row[STATE] == 'dead' then
    redis.call('ZREM', DEAD, joined(who, id))
    redis.call('ZREM', B .. 'dead:' .. who, id)
  end
  row[STATE], row[TRIES], row[DUE] = 'pending', 0, 0
  redis.call('ZADD', B .. 'wait:' .. who, row[SEQ], id)
  redis.call('ZADD', SINCE, string.format('%.17g', row[FIRST]), row[SEQ])
  keep(who, id, row)
  join(who)
end
local function wait_no_more(who, id, row, state)
  row[STATE] = state
  redis.call('ZREM', B .. 'wait:' .. who, id)
  redis.call('ZREM', SINCE, row[SEQ])
  if state == 'dead' then
    redis.call('ZADD', DEAD, row[SEQ], joined(who, id))
    redis.call('ZADD', B .. 'dead:' .. who, row[SEQ], id)
  end
  keep(who, id, row)
end
local function speaks(who, at)  -- before the turn is kept
  local known = redis.call('HGET', OLDEST, who)
  if known and tonumber(at) < tonumber(known) or redis.call('EXISTS', B .. 'rows:' .. who) == 0 then
    redis.call('HSET', OLDEST, who, at)
  end
  redis.call('ZADD', SCOPES, 0, who)
end
local function remove(who, id, row)
  redis.call('ZREM', SINCE, row[SEQ])
  redis.call('ZREM', DEAD, joined(who, id))
  redis.call('ZREM', B .. 'wait:' .. who, id)
  redis.call('ZREM', B .. 'dead:' .. who, id)
  redis.call('HDEL', B .. 'rows:' .. who, id)
  redis.call('HDEL', B .. 'bodies:' .. who, id)
  if redis.call('EXISTS', B .. 'rows:' .. who) == 0 then
    redis.call('ZREM', SCOPES, who)
    redis.call('HDEL', OLDEST, who)
  end
end
"""
BASE = _BASE + LUA

# A consumer that was killed leaves its name behind; what it had is taken over by `claim`, and then the name may go.
ARRIVE = f"""{BASE}
if redis.call('EXISTS', LINE) == 0 or #redis.call('XINFO', 'GROUPS', LINE) == 0 then
  redis.call('XGROUP', 'CREATE', LINE, GROUP, '0', 'MKSTREAM')
end
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', LINE, GROUP)) do
  local consumer = {{}}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  if consumer.pending == 0 and consumer.idle > 10 * tonumber(ARGV[1]) then
    redis.call('XGROUP', 'DELCONSUMER', LINE, GROUP, consumer.name)
  end
end
if redis.call('EXISTS', B .. 'seq') == 0 then redis.call('SET', B .. 'listed', 1) end
"""

APPEND = f"""{BASE}
local now, numbers = tonumber(ARGV[1]), {{}}
local function told(who, id, body, at)
  speaks(who, at)
  local row = row_of(who, id)
  if not row then
    row = {{redis.call('INCR', B .. 'seq'), 'new', 0, 0, 0, now, ''}}
  elseif row[STATE] ~= 'pending' then
    row[FIRST] = now
  end
  row[REVISION], row[ERROR] = row[REVISION] + 1, ''
  wait(who, id, row)
  redis.call('HSET', B .. 'bodies:' .. who, id, string.format('%d:', row[SEQ]) .. body)
  return row[SEQ]
end
for i = 2, #ARGV, 5 do
  local gone = outlived(ARGV[i], ARGV[i + 4])
  numbers[#numbers + 1] = gone and 0 or told(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
return numbers
"""

CLAIM = f"""{BASE}
local now, writer, lease, limit, window = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

redis.call('ZREMRANGEBYSCORE', WANTED, '-inf', clock())
for _, who in ipairs(redis.call('ZRANGEBYSCORE', HOLDS, '-inf', clock())) do unhold(who, now) end
for _, who in ipairs(redis.call('ZRANGEBYSCORE', LATER, '-inf', ARGV[1], 'LIMIT', 0, 1000)) do join(who) end

local from, taken = '0-0', 0
repeat
  local answer = redis.call('XAUTOCLAIM', LINE, GROUP, writer, lease, from, 'COUNT', window, 'JUSTID')
  from, taken = answer[1], taken + #answer[2]
until from == '0-0' or taken >= window

local users = {{}}
local function add(answer)
  for _, entry in ipairs(answer and answer[1][2] or {{}}) do users[#users + 1] = entry[2][2] end
end
add(redis.call('XREADGROUP', 'GROUP', GROUP, writer, 'STREAMS', LINE, '0'))
if #users < window then
  add(redis.call('XREADGROUP', 'GROUP', GROUP, writer, 'COUNT', window - #users, 'STREAMS', LINE, '>'))
end

local found = {{}}
for _, who in ipairs(users) do
  local at, ids, chosen = 0, {{}}, 0
  if redis.call('ZSCORE', WANTED, who) then chosen = limit end  -- let go, for who waits
  while chosen < limit do
    ids = redis.call('ZRANGE', B .. 'wait:' .. who, at, at + limit - 1)
    for _, id in ipairs(ids) do
      local row = row_of(who, id)
      if row[DUE] <= now and chosen < limit then
        chosen = chosen + 1
        found[#found + 1] = {{row[SEQ], who, id, row[REVISION]}}
      end
    end
    if #ids < limit then break end
    at = at + limit
  end
end
table.sort(found, function(one, other) return one[1] < other[1] end)

local answer, has = {{}}, {{}}
for i = 1, math.min(limit, #found) do
  local seq, who, id, revision = unpack(found[i])
  if not has[who] then redis.call('ZADD', SCOPES, 0, who) end  -- told by a gateway that kept no list
  has[who] = true
  answer[i] = {{seq, who, id, revision, redis.call('HGET', B .. 'bodies:' .. who, id)}}
end
for _, who in ipairs(users) do
  if not has[who] then settle(who, now) end
end
return answer
"""

DONE = f"""{BASE}
local now, writer, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
for i = 4, 3 * count + 3, 3 do
  local who, id, revision = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local row = row_of(who, id)
  if row and row[STATE] == 'pending' and row[REVISION] == revision then wait_no_more(who, id, row, 'done') end
end
for i = 3 * count + 4, #ARGV do
  local _, has = holder(ARGV[i])
  if has == writer then settle(ARGV[i], now) end
end
"""

FAIL = f"""{BASE}
local now, writer, who, id, revision = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local row, dead = row_of(who, id), 0
if row and row[STATE] == 'pending' and row[REVISION] == revision then
  row[TRIES], row[DUE], row[ERROR] = row[TRIES] + 1, now + tonumber(ARGV[8]), ARGV[6]
  if row[TRIES] >= tonumber(ARGV[7]) then
    dead = 1
    wait_no_more(who, id, row, 'dead')
  else
    keep(who, id, row)
  end
end
local _, has = holder(who)
if ARGV[9] == '1' and has == writer then settle(who, now) end
return dead
"""

RENEW = f"""{BASE}
for i = 2, #ARGV do
  local entry, has = holder(ARGV[i])
  if has == ARGV[1] then redis.call('XCLAIM', LINE, GROUP, has, 0, entry, 'JUSTID') end
end
"""

DEPART = f"""{BASE}
local answer = redis.call('XREADGROUP', 'GROUP', GROUP, ARGV[2], 'STREAMS', LINE, '0')
for _, entry in ipairs(answer and answer[1][2] or {{}}) do settle(entry[2][2], tonumber(ARGV[1])) end
redis.call('XGROUP', 'DELCONSUMER', LINE, GROUP, ARGV[2])
"""

# Minus one: somebody else is at work on the user: a writer that would index what was erased, or a holder.
ERASE = f"""{BASE}
local now, writer, who, all = tonumber(ARGV[1]), ARGV[2], ARGV[4], ARGV[5] == '1'
local _, has, idle = holder(who)
if has and has ~= writer and idle < tonumber(ARGV[3]) or (held(who) or ARGV[6]) ~= ARGV[6] then return -1 end
if all then stamp(who) end
local ids, count = all and redis.call('HKEYS', B .. 'rows:' .. who) or {{}}, 0
for i = 7, #ARGV do ids[#ids + 1] = ARGV[i] end
for _, id in ipairs(ids) do
  local row = row_of(who, id)
  if row then
    count = count + 1
    remove(who, id, row)
  end
end
if has ~= writer or redis.call('EXISTS', B .. 'wait:' .. who) == 0 then settle(who, now) end
return count
"""

REPLAY = f"""{BASE}
local wanted, count = {{}}, 0
for _, id in ipairs(ARGV) do wanted[id] = true end
for _, letter in ipairs(redis.call('ZRANGE', DEAD, 0, -1)) do
  local who, id = split(letter)
  if #ARGV == 0 or wanted[id] then
    count = count + 1
    wait(who, id, row_of(who, id))
  end
end
return count
"""
