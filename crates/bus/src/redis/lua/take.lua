-- Hands deliveries of this consumer that never arrived to it once more; not counted again.
-- KEYS: stream. ARGV: group, consumer, then ids. Returns {{entry, attempts}, ...}.
local taken = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])[1]
  if pending then
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', pending[4])
    if claimed[1] then
      table.insert(taken, { claimed[1], pending[4] })
    else
      redis.call('XACK', KEYS[1], ARGV[1], id)
    end
  end
end
return taken
