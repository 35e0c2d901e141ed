-- The places of waiting tasks.
--
-- KEYS  1 arrivals
-- ARGV  ids
-- Returns for each task the number of tasks ahead of it, of tasks in its queue, and its size; false if it does not wait

local places, depths = {}, {}
for number, id in ipairs(ARGV) do
  local task = redis.call('HMGET', keys.task(id), 'state', 'size')
  local size = task[2]
  local ahead = task[1] == 'queued' and redis.call('ZRANK', keys.queue(size), id)
  if ahead and not depths[size] then depths[size] = redis.call('ZCARD', keys.queue(size)) end
  places[number] = ahead and { ahead, depths[size], size }
end
return places
