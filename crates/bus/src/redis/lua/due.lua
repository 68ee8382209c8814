-- Takes the delayed deliveries whose time has come.
-- KEYS: stream, delayed. ARGV: group, consumer, most.
-- Returns {milliseconds until the next one or -1, {{entry, attempts}, ...}}.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)

local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, '@delayed')[1]
  redis.call('ZREM', KEYS[2], id)
  if pending then
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', pending[4])
    if claimed[1] then
      table.insert(taken, { claimed[1], pending[4] })
    else
      -- The entry itself is gone; nothing is left to try.
      redis.call('XACK', KEYS[1], ARGV[1], id)
    end
  end
end

local upcoming = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local wait = -1
if upcoming[2] then wait = math.max(0, tonumber(upcoming[2]) - now) end
return { wait, taken }
