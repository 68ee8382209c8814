-- Takes over what its consumer has been silent about for longer than that consumer's lease.
-- KEYS: stream, delayed, leases. ARGV: group, consumer, its lease in milliseconds, most, cursor.
-- Returns {next cursor, shortest lease in the group, {{entry, attempts}, ...}}; the cursor is '-'
-- at the end of the list.
local PAGE = 200
local own, most = tonumber(ARGV[3]), tonumber(ARGV[4])

local leases, shortest = {}, own
local noted = redis.call('HGETALL', KEYS[3])
for i = 1, #noted, 2 do
  local lease = tonumber(noted[i + 1])
  leases[noted[i]] = lease
  if lease < shortest then shortest = lease end
end

local page = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', shortest, ARGV[5], '+', PAGE)
local taken = {}
local cursor = '-'
for _, pending in ipairs(page) do
  if #taken >= most then break end
  local id, owner, idle, attempts = pending[1], pending[2], pending[3], pending[4]
  cursor = '(' .. id
  local free
  if owner == '@delayed' then
    -- One that has lost its place in the sorted set is due, and was counted already.
    free = not redis.call('ZSCORE', KEYS[2], id)
  else
    free = idle >= (leases[owner] or own)
    attempts = attempts + 1
  end
  if free then
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', attempts)
    if claimed[1] then
      table.insert(taken, { claimed[1], attempts })
    else
      redis.call('XACK', KEYS[1], ARGV[1], id)
    end
  end
end
if #page < PAGE and #taken < most then cursor = '-' end
return { cursor, shortest, taken }
