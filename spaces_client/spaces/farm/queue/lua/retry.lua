-- Return a claimed task that its worker could not begin to its old place, counting the attempt like a worker's death; end
-- it if no attempt is left. Doing so again under the same lease changes nothing.
--
-- KEYS  1 the task
-- ARGV  1 id  2 worker  3 attempt  4 attempts  5 final state  6 the last event
-- Returns 0 if the lease is lost, 3 if the task waits again; if it has ended, 1, or 2 if nobody reads it

if holds(ARGV[1], ARGV[2], ARGV[3]) then
  local times = redis.call('HINCRBY', KEYS[1], 'lost', 1)
  if times < tonumber(ARGV[4]) or redis.call('HEXISTS', KEYS[1], 'cancelled') == 1 then
    give_back(ARGV[1], ARGV[2], 'could_not_begin')
  else
    finish(ARGV[1], ARGV[5], ARGV[6])
  end
end
local task = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'unfollowed')
if task[2] ~= ARGV[3] then return 0 end
if task[1] == 'queued' then return 3 end
return task[3] and 2 or 1
