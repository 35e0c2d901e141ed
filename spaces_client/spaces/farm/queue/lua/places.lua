-- The places of waiting tasks.
--
-- KEYS  1 arrivals
-- ARGV  ids
-- Returns for each task the number of tasks ahead of it, of tasks in its queue, its size, and whether its Space is paused,
--       when its queue is that of the Space alone; false if it does not wait

-- The queue of a Space that is paused, and the task's place there.
local function aside(id, size, space)
  if redis.call('SISMEMBER', keys.paused(), space) == 0 then return false end
  local ahead = redis.call('ZRANK', keys.waiting(size, space), id)
  return ahead and { ahead, redis.call('ZCARD', keys.waiting(size, space)), size, 1 }
end

local places, depths = {}, {}
for number, id in ipairs(ARGV) do
  local task = redis.call('HMGET', keys.task(id), 'state', 'size', 'space')
  local size = task[2]
  local ahead = task[1] == 'queued' and redis.call('ZRANK', keys.queue(size), id)
  if ahead and not depths[size] then depths[size] = redis.call('ZCARD', keys.queue(size)) end
  places[number] = ahead and { ahead, depths[size], size, 0 } or task[1] == 'queued' and aside(id, size, task[3])
end
return places
