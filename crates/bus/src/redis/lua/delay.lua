-- Sets deliveries of this consumer aside until their time. They stay pending under a consumer of
-- their own, so that trimming and backlog count them and their entry id never changes.
-- KEYS: stream, delayed. ARGV: group, consumer, then for each: id, milliseconds, attempts to add.
local now = redis.call('TIME')
now = now[1] * 1000 + math.ceil(now[2] / 1000)

for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])[1]
  -- Whoever owns it by now decides about it.
  if pending then
    -- The sorted set first: with memory full it is refused before anything has changed.
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[i + 1]), id)
    redis.call('XCLAIM', KEYS[1], ARGV[1], '@delayed', 0, id,
      'RETRYCOUNT', pending[4] + tonumber(ARGV[i + 2]), 'JUSTID')
  end
end
return 1
