-- Read the state of a task.
--
-- KEYS  1 the task
-- ARGV  1 id
-- Returns state, place in the queue or nothing, attempt, worker, enqueued_at, started_at, ended_at; nothing if unknown

local task = redis.call('HMGET', KEYS[1], 'state', 'size', 'attempt', 'worker', 'enqueued_at', 'started_at', 'ended_at')
if not task[1] then return false end
local place = task[1] == 'queued' and redis.call('ZRANK', keys.queue(task[2]), ARGV[1])
return { task[1], place, task[3], task[4], task[5], task[6], task[7] }
