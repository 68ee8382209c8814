-- Drops entries older than `retain` that every group has settled; a slice of them at a time.
-- KEYS: stream. ARGV: retain in milliseconds. Returns {dropped, 1 when nothing is left to drop}.
local SLICE = 10000

local function parts(id)
  local major, minor = string.match(id, '^(%d+)-(%d+)$')
  return { tonumber(major), tonumber(minor) }
end
local function lower(a, b)
  if a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) then return a end
  return b
end

if redis.call('EXISTS', KEYS[1]) == 0 then return { 0, 1 } end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local limit = { math.max(0, now - tonumber(ARGV[1]) + 1), 0 }

for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local name, pending, delivered = group[2], group[6], parts(group[8])
  if pending > 0 then
    limit = lower(limit, parts(redis.call('XPENDING', KEYS[1], name)[2]))
  else
    limit = lower(limit, { delivered[1], delivered[2] + 1 })
  end
end

local id = string.format('%.0f-%.0f', limit[1], limit[2])
local dropped = redis.call('XTRIM', KEYS[1], 'MINID', '~', id, 'LIMIT', SLICE)
if dropped > 0 then return { dropped, 0 } end
-- Less than one node of the stream is left over.
return { redis.call('XTRIM', KEYS[1], 'MINID', id), 1 }
