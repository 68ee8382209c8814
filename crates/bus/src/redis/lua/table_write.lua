-- Puts or deletes a key if what is expected holds, and tells watchers.
-- KEYS: values, meta, changes. ARGV: put|delete, key, value, any|absent|version, the expected
-- incarnation and number, a fresh incarnation, how many changes are kept.
-- Returns {1, incarnation, n} or {0, incarnation, what is there or false}.
local incarnation = redis.call('HGET', KEYS[2], 'incarnation')
if not incarnation then
  incarnation = ARGV[7]
  redis.call('HSET', KEYS[2], 'incarnation', incarnation, 'n', 0)
  redis.call('DEL', KEYS[1], KEYS[3])
end

local current = redis.call('HGET', KEYS[1], ARGV[2])
local holds = ARGV[4] == 'any'
if ARGV[4] == 'absent' then holds = not current end
if ARGV[4] == 'version' then
  holds = current and ARGV[5] == incarnation
    and string.sub(current, 1, #ARGV[6] + 1) == ARGV[6] .. ' '
end
if not holds then return { 0, incarnation, current } end
if ARGV[1] == 'delete' and not current then
  return { 1, incarnation, tonumber(redis.call('HGET', KEYS[2], 'n')) }
end

local n = redis.call('HINCRBY', KEYS[2], 'n', 1)
local id = string.format('%.0f-1', n)
if ARGV[1] == 'put' then
  redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f ', n) .. ARGV[3])
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[8], id, 'key', ARGV[2], 'value', ARGV[3])
else
  redis.call('HDEL', KEYS[1], ARGV[2])
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[8], id, 'key', ARGV[2])
end
redis.call('PUBLISH', KEYS[1], incarnation .. ' ' .. string.format('%.0f', n))
return { 1, incarnation, n }
