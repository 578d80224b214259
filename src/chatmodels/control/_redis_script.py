"""The limits' book as Redis keeps it: Lua, so that each step is whole, on the server's clock. Text only.

One hash tag for all keys, so that a cluster keeps them together. What the last minute took is kept in slots of `GRAIN_MS`,
each as of its end; the line is ordered by a counter, and who has not been heard of for a while (`alive`) drops out of it.
"""

from __future__ import annotations

GRAIN_MS = 300
MINUTE_MS = 60_000

#: KEYS: used (hash), inside, line, alive (sorted sets), closed (string), counter.
#: ARGV: id, tokens, requests/min, tokens/min, concurrency (-1: none), lease ms, alive ms, most ms to wait (-1: no end).
#: -> {state, wait ms, slot, limit}; state: 1 in, 0 wait and ask again, -1 no room in time.
ENTER = """
local used, inside, line, alive, closed, counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, tokens = ARGV[1], tonumber(ARGV[2])
local requests_limit, tokens_limit, most_inside = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lease, patience, left = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', now)) do
  redis.call('ZREM', line, gone)
  redis.call('ZREM', alive, gone)
end
redis.call('ZREMRANGEBYSCORE', inside, '-inf', now)

local taken, slots, total = {r = {}, t = {}}, {}, {r = 0, t = 0}
local flat = redis.call('HGETALL', used)
for i = 1, #flat, 2 do
  local kind, slot, amount = string.sub(flat[i], 1, 1), tonumber(string.sub(flat[i], 3)), tonumber(flat[i + 1])
  local ends = (slot + 1) * GRAIN + MINUTE
  if ends <= now then
    redis.call('HDEL', used, flat[i])
  else
    taken[kind][slot] = amount
    total[kind] = total[kind] + amount
    if kind == 'r' then slots[#slots + 1] = slot end
  end
end
table.sort(slots)

local function ready_in(kind, amount, limit)
  if limit < 0 then return 0 end
  local over = total[kind] + amount - limit
  if over <= 0 then return 0 end
  for _, slot in ipairs(slots) do
    over = over - (taken[kind][slot] or 0)
    if over <= 0 then return (slot + 1) * GRAIN + MINUTE - now end
  end
  return MINUTE
end

local wait, limit = math.max(0, redis.call('PTTL', closed)), 'retry-after'
for _, one in ipairs({{'r', 1, requests_limit, 'requests_per_minute'}, {'t', tokens, tokens_limit, 'tokens_per_minute'}}) do
  local needs = ready_in(one[1], one[2], one[3])
  if needs > wait then wait, limit = needs, one[4] end
end

if left >= 0 and (wait >= left) then
  redis.call('ZREM', line, id)
  redis.call('ZREM', alive, id)
  if wait == 0 then limit = 'max_concurrency' end
  return {-1, wait, 0, limit}
end

if not redis.call('ZSCORE', line, id) then
  redis.call('ZADD', line, redis.call('INCR', counter), id)
  redis.call('PEXPIRE', counter, 86400000)
end
redis.call('ZADD', alive, now + patience, id)
redis.call('PEXPIRE', line, 86400000)
redis.call('PEXPIRE', alive, 86400000)

local first = redis.call('ZRANGE', line, 0, 0)[1]
if first ~= id then return {0, math.max(wait, 25), 0, 'max_concurrency'} end
if wait > 0 then return {0, wait, 0, limit} end
if most_inside >= 0 and redis.call('ZCARD', inside) >= most_inside then return {0, 25, 0, 'max_concurrency'} end

redis.call('ZREM', line, id)
redis.call('ZREM', alive, id)
redis.call('ZADD', inside, now + lease, id)
if redis.call('PTTL', inside) < lease + MINUTE then redis.call('PEXPIRE', inside, lease + MINUTE) end
local slot = math.floor(now / GRAIN)
redis.call('HINCRBY', used, 'r:' .. slot, 1)
redis.call('HINCRBY', used, 't:' .. slot, tokens)
redis.call('PEXPIRE', used, 2 * MINUTE)
return {1, 0, slot, ''}
""".replace("GRAIN", str(GRAIN_MS)).replace("MINUTE", str(MINUTE_MS))

#: KEYS as above; ARGV: id, slot (-1: it never got in), change of tokens, change of requests.
LEAVE = """
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
for kind, by in pairs({t = tonumber(ARGV[3]), r = tonumber(ARGV[4])}) do
  local field = kind .. ':' .. ARGV[2]
  if by ~= 0 and redis.call('HEXISTS', KEYS[1], field) == 1 then redis.call('HINCRBY', KEYS[1], field, by) end
end
return 1
"""

#: KEYS as above; ARGV: ms for which nothing shall go out. A longer closure that holds already stays.
CLOSE = """
if redis.call('PTTL', KEYS[5]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[5], 1, 'PX', ARGV[1]) end
return 1
"""
