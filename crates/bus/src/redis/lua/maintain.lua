-- Notes up to where the group has settled everything, and forgets consumers long gone.
-- KEYS: stream, checkpoints, leases. ARGV: group, consumer, milliseconds of silence.
local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
local mark
if pending[1] > 0 then
  -- Just before the lowest pending one, so that a group made again from here delivers it again.
  local major, minor = string.match(pending[2], '^(%d+)-(%d+)$')
  if minor ~= '0' then
    mark = major .. '-' .. string.format('%.0f', tonumber(minor) - 1)
  else
    mark = string.format('%.0f', math.max(0, tonumber(major) - 1)) .. '-18446744073709551615'
  end
else
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    if group[2] == ARGV[1] then mark = group[8] end
  end
end
-- An older mark is safe too, so a refusal (memory full) is no failure.
if mark then redis.pcall('HSET', KEYS[2], ARGV[1], mark) end

local forgotten = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, held, idle = consumer[2], consumer[4], consumer[6]
  if held == 0 and idle > tonumber(ARGV[3]) and name ~= ARGV[2] and name ~= '@delayed' then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
    redis.call('HDEL', KEYS[3], name)
    forgotten = forgotten + 1
  end
end
return forgotten
