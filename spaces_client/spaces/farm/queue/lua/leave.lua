-- End a worker's lease: the tasks that it still holds return to their old places at once.
--
-- KEYS  1 workers
-- ARGV  1 worker
-- Returns how many tasks it held

local held = redis.call('SMEMBERS', keys.held(ARGV[1]))
for _, id in ipairs(held) do
  if redis.call('EXISTS', keys.task(id)) == 1 then give_back(id, ARGV[1], 'worker_left') end
end
redis.call('DEL', keys.held(ARGV[1]), keys.worker(ARGV[1]))
redis.call('ZREM', KEYS[1], ARGV[1])
stop_serving(ARGV[1])
return #held
