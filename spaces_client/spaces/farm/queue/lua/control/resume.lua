-- Return the waiting tasks of a paused Space to their old places.
--
-- KEYS  1 paused
-- ARGV  1 Space
-- Returns 1, or 0 if it was not paused

local space = ARGV[1]
if redis.call('SREM', KEYS[1], space) == 0 then return 0 end
for _, size in ipairs(SIZES) do
  redis.call('ZUNIONSTORE', keys.queue(size), 2, keys.queue(size), keys.waiting(size, space), 'AGGREGATE', 'MIN')
  redis.call('EXPIRE', keys.queue(size), WAITING)
  for _ = 1, redis.call('ZCARD', keys.waiting(size, space)) do
    if not ring(size) then break end
  end
end
return 1
