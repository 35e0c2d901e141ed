-- Where a waiting task stands.
--
-- KEYS  1 the task
-- ARGV  1 id
-- Returns tasks ahead of it, tasks in its queue, size; nothing if it does not wait

local task = redis.call('HMGET', KEYS[1], 'state', 'size')
if task[1] ~= 'queued' then return false end
local ahead = redis.call('ZRANK', keys.queue(task[2]), ARGV[1])
return ahead and { ahead, redis.call('ZCARD', keys.queue(task[2])), task[2] }
