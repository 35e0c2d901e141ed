-- Have the events of a task delivered to an inbox, from now on; to no other one.
--
-- KEYS  1 the task
-- ARGV  1 the inbox
-- Returns 1; 0 if there is no such task

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'reader', ARGV[1])
return 1
