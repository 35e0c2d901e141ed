-- End a running task, if its lease still stands. Ending it again by the same lease changes nothing.
--
-- KEYS  1 the task
-- ARGV  1 id  2 worker  3 attempt  4 final state  5 the last event
-- Returns 1 if the task has ended now, 0 if this lease had ended it before, -1 if the lease is lost

if holds(ARGV[1], ARGV[2], ARGV[3]) then
  finish(ARGV[1], ARGV[4], ARGV[5])
  return 1
end
local task = redis.call('HMGET', KEYS[1], 'worker', 'attempt')
if task[1] == ARGV[2] and task[2] == ARGV[3] then return 0 end
return -1
