-- Let a drained worker take tasks again, at once.
--
-- KEYS  1 drained
-- ARGV  1 the worker's node
-- Returns 1, or 0 if it was not drained

local found = redis.call('SREM', KEYS[1], ARGV[1])
for _, worker in ipairs(redis.call('ZRANGE', keys.workers(), 0, -1)) do
  if node_of(worker) == ARGV[1] then
    found = found + redis.call('SREM', KEYS[1], worker)
    if redis.call('LPUSH', keys.call(worker), '1') > 1 then redis.call('LTRIM', keys.call(worker), 0, 0) end
    redis.call('EXPIRE', keys.call(worker), IDLE)
  end
end
return math.min(found, 1)
