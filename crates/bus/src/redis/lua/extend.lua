-- Begins the leases of this consumer's deliveries anew; never takes one from another.
-- KEYS: stream. ARGV: group, consumer, then ids. Returns the ids this consumer no longer owns.
local kept, lost = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])[1] then
    table.insert(kept, id)
  else
    table.insert(lost, id)
  end
end
if #kept > 0 then
  local claim = { 'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0 }
  for _, id in ipairs(kept) do table.insert(claim, id) end
  table.insert(claim, 'JUSTID')
  redis.call(unpack(claim))
end
return lost
