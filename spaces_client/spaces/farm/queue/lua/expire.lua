-- End tasks that have waited too long.
--
-- KEYS  1 arrivals
-- ARGV  1 longest wait  2 reason  3 the event `Expired` with that reason, packed
-- Returns how many tasks have ended

local MOST = 100 -- tasks in one call; the next call continues

local before, ended = server_time() - tonumber(ARGV[1]), 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'LIMIT', 0, MOST)) do
  if cancel(id, ARGV[2], ARGV[3]) == 'removed' then
    count_refusal('longest_wait')
    ended = ended + 1
  else
    redis.call('ZREM', KEYS[1], id) -- its lifetime is over
  end
end
return ended
