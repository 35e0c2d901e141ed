-- Let the tasks of a Space wait until it is resumed: no worker takes them. Those that run go on.
--
-- KEYS  1 paused
-- ARGV  1 Space
-- Returns 1, or 0 if it was paused before

local space = ARGV[1]
if redis.call('SADD', KEYS[1], space) == 0 then return 0 end
for _, size in ipairs(SIZES) do
  redis.call('ZDIFFSTORE', keys.queue(size), 2, keys.queue(size), keys.waiting(size, space))
  redis.call('EXPIRE', keys.queue(size), WAITING)
end
return 1
