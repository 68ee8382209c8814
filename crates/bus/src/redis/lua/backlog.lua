-- KEYS: stream. ARGV: group.
-- Returns {undelivered, pending, age of the oldest of both in milliseconds or -1}.
local PAGE, COUNTED = 200, 1000

local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return { 0, 0, -1 } end
local group
for _, candidate in ipairs(groups) do
  if candidate[2] == ARGV[1] then group = candidate end
end
if not group then return { 0, 0, -1 } end

local pending, delivered, lag = group[6], group[8], group[12]
local upcoming = redis.call('XRANGE', KEYS[1], '(' .. delivered, '+', 'COUNT', 1)
-- The server's lag counts entries read, and that count is not restored from an append-only file that was
-- rewritten: after a restart nothing may be left and the lag is hundreds, for ever. It cannot tell
-- at all after a deletion in the middle. So what is left is counted, and estimated beyond that.
local counted, from, more = 0, delivered, upcoming[1] ~= nil
while more and counted < COUNTED do
  local page = redis.call('XRANGE', KEYS[1], '(' .. from, '+', 'COUNT', PAGE)
  counted = counted + #page
  more = #page == PAGE
  if more then from = page[PAGE][1] end
end
if more then
  lag = math.max(counted, math.min(lag or math.huge, redis.call('XLEN', KEYS[1])))
else
  lag = counted
end

local oldest
if upcoming[1] then oldest = tonumber(string.match(upcoming[1][1], '^%d+')) end
if pending > 0 then
  local first = tonumber(string.match(redis.call('XPENDING', KEYS[1], ARGV[1])[2], '^%d+'))
  if not oldest or first < oldest then oldest = first end
end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local age = -1
if oldest then age = math.max(0, now - oldest) end
return { lag, pending, age }
