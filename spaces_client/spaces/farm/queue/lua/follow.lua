-- Deliver the events of a task to this inbox, and no other, from now on; somebody reads it again.
--
-- KEYS  1 the task
-- ARGV  1 the inbox
-- Returns 1; 0 if the task does not exist

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'reader', ARGV[1])
redis.call('HDEL', KEYS[1], 'unfollowed')
return 1
