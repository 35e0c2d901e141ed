-- End a running task, if its lease is still valid, and learn its duration. Ending it again under the same lease changes
-- nothing, so each run is learned once.
--
-- KEYS  1 the task
-- ARGV  1 id  2 worker  3 attempt  4 final state  5 the last event
--       6 seconds of the run to learn from; '' for none  7 field of the learned duration  8 memory, in runs
--       9 seconds of a GPU that its visitor is charged  10 seconds until its function began; '' if it never did
--       11 seconds that it ran  12 what stopped it; '' if it ended by itself
-- Returns 0 if the lease is lost; else 1, or 2 if nobody reads the task

-- The arithmetic of `estimates.update`; the field has the format of `estimates.Learned.pack`.
local function learn(space)
  local known = redis.call('HGET', keys.learned(space), ARGV[7]) or '0 0'
  local count, mean = known:match('^(%d+) (%S+)$')
  count = math.min(tonumber(count) + 1, tonumber(ARGV[8]))
  mean = tonumber(mean) + (tonumber(ARGV[6]) - tonumber(mean)) / count
  redis.call('HSET', keys.learned(space), ARGV[7], string.format('%d %.17g', count, mean))
  redis.call('EXPIRE', keys.learned(space), LEARNED)
end

local task = redis.call('HMGET', KEYS[1], 'state', 'worker', 'attempt', 'unfollowed', 'space')
if task[2] ~= ARGV[2] or task[3] ~= ARGV[3] then return 0 end
if task[1] == 'running' then
  finish(ARGV[1], ARGV[4], ARGV[5], {
    charged = tonumber(ARGV[9]),
    swap = tonumber(ARGV[10]),
    seconds = tonumber(ARGV[11]),
    stopped = ARGV[12] ~= '' and ARGV[12],
  })
  if ARGV[6] ~= '' then learn(task[5]) end
end
return task[4] and 2 or 1
