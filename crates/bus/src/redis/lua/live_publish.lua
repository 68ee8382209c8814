-- Appends reports to a live stream and tells who listens.
-- KEYS: stream. ARGV: capacity, seconds to keep, then for each: 1 if a snapshot else 0, data.
-- Returns the sequence of the last. Ids are <life>-<sequence>: the first part names this life of
-- the topic, so that a listener notices when it began anew.
local life, sequence
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then
  life, sequence = string.match(last[1], '^(%d+)-(%d+)$')
  sequence = tonumber(sequence)
else
  local now = redis.call('TIME')
  life = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  sequence = 0
  redis.call('DEL', KEYS[1])
end

local told = {}
for i = 3, #ARGV, 2 do
  sequence = sequence + 1
  local number = string.format('%.0f', sequence)
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], life .. '-' .. number, 's', ARGV[i], 'd', ARGV[i + 1])
  table.insert(told, life .. ' ' .. number .. ' ' .. ARGV[i] .. ' ' .. #ARGV[i + 1] .. '\n')
  table.insert(told, ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[1], table.concat(told))
return sequence
