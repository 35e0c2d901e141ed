-- End a web process's lease: the tasks that it waits for are cancelled at once.
--
-- KEYS  1 clients
-- ARGV  1 client  2 reason  3 the event `Cancelled`, packed
-- Returns how many tasks it was waiting for

local waiting = redis.call('SMEMBERS', keys.client(ARGV[1]))
for _, id in ipairs(waiting) do cancel_unread(id, ARGV[2], ARGV[3]) end
redis.call('DEL', keys.client(ARGV[1]))
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SREM', keys.doubted(), ARGV[1])
return #waiting
