-- Makes sure that the stream, its incarnation and the group exist, and notes how long this
-- consumer may stay silent.
-- KEYS: stream, incarnation, checkpoints, leases. ARGV: group, a fresh incarnation, consumer,
-- lease in milliseconds.
local function note_lease()
  -- Refused with memory full; others then apply a lease of their own.
  redis.pcall('HSET', KEYS[4], ARGV[3], ARGV[4])
end

local existed = redis.call('EXISTS', KEYS[1]) == 1
local known = redis.call('GET', KEYS[2])

if existed and known then
  -- A group that stands needs no write: with memory full, workers must still be able to join.
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    if group[2] == ARGV[1] then
      note_lease()
      return 0
    end
  end
end

-- Where the data lived on and only the group is gone, go on behind what it is known to have
-- settled; where the data is new, begin at its beginning.
local from = '0'
if existed and known then
  from = redis.call('HGET', KEYS[3], ARGV[1]) or '0'
end
if not known then redis.call('SET', KEYS[2], ARGV[2]) end
if not (existed and known) then redis.call('DEL', KEYS[3]) end

local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], from, 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
note_lease()
return 1
