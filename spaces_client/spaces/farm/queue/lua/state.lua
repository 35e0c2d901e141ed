-- Read the state of a task.
--
-- KEYS  1 the task
-- ARGV  1 id
-- Returns state, place in the queue, or in that of a paused Space, or nothing, attempt, worker, enqueued_at, started_at, ended_at; nothing if unknown

local task = redis.call('HMGET', KEYS[1], 'state', 'size', 'attempt', 'worker', 'enqueued_at', 'started_at', 'ended_at',
  'space')
if not task[1] then return false end
local place = false
if task[1] == 'queued' then
  local size, space = task[2], task[8]
  place = redis.call('ZRANK', keys.queue(size), ARGV[1]) or redis.call('ZRANK', keys.waiting(size, space), ARGV[1])
end
return { task[1], place, task[3], task[4], task[5], task[6], task[7] }
