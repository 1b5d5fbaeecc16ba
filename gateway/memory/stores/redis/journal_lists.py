"""What the journal is asked, as Lua. Changes nothing; see journal_scripts for the keys."""

from gateway.memory.stores.redis.journal_scripts import BASE

PENDING = f"""{BASE}
local who, limit, found = ARGV[1], tonumber(ARGV[2]), {{}}
for _, state in ipairs({{'wait:', 'dead:'}}) do
  local pairs_ = redis.call('ZREVRANGE', B .. state .. who, 0, limit - 1, 'WITHSCORES')
  for i = 1, #pairs_, 2 do found[#found + 1] = {{tonumber(pairs_[i + 1]), pairs_[i]}} end
end
table.sort(found, function(one, other) return one[1] > other[1] end)
local answer = {{}}
for i = 1, math.min(limit, #found) do answer[i] = redis.call('HGET', B .. 'bodies:' .. who, found[i][2]) end
return answer
"""

LETTERS = f"""{BASE}
local answer = {{}}
for i, letter in ipairs(redis.call('ZRANGEBYSCORE', DEAD, '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])) do
  local who, id = split(letter)
  local row = row_of(who, id)
  answer[i] = {{row[SEQ], who, id, redis.call('HGET', B .. 'bodies:' .. who, id), row[TRIES], row[ERROR]}}
end
return answer
"""

LAG = f"""{BASE}
local oldest = redis.call('ZRANGE', SINCE, 0, 0, 'WITHSCORES')
return {{redis.call('ZCARD', SINCE), redis.call('ZCARD', DEAD), oldest[2]}}
"""
