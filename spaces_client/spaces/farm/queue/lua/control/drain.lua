-- Let a worker take no task any more, until it is told otherwise, or until it ends. Those that it runs go on.
--
-- KEYS  1 drained
-- ARGV  1 the worker's node; or its id: until it ends
-- Returns 1; or 0 if it was drained before, or is named by an id and has ended: nobody would remove its mark

if node_of(ARGV[1]) ~= ARGV[1] and not redis.call('ZSCORE', keys.workers(), ARGV[1]) then return 0 end
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 0 end
for _, worker in ipairs(redis.call('ZRANGE', keys.workers(), 0, -1)) do
  if node_of(worker) == ARGV[1] or worker == ARGV[1] then
    for _, size in ipairs(SIZES) do redis.call('ZREM', keys.idle(size), worker) end
    redis.call('DEL', keys.warmth(worker))
  end
end
return 1
