-- Nobody reads a task any more, neither its events nor its outcome.
--
-- KEYS  1 the task
-- ARGV  1 id
-- Returns 1 if it has not ended: then the worker that ends it discards its payloads; 0 if it has, or is unknown: then
-- the caller must

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'unfollowed', 1)
return 1
