-- Return a claimed task to its old place, without counting the attempt: its worker leaves or cannot serve it.
--
-- KEYS  1 the task
-- ARGV  1 id  2 worker  3 attempt
-- Returns 0 if the lease is lost, 3 if the task waits again; if it has ended, because it was cancelled, 1, or 2 if nobody
--       reads it

if not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
give_back(ARGV[1], ARGV[2], 'worker_left')
local task = redis.call('HMGET', KEYS[1], 'state', 'unfollowed')
if task[1] == 'queued' then return 3 end
return task[2] and 2 or 1
