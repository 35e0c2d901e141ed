-- Extend a web process's lease. Take over from dead workers too, because no other worker may be alive.
--
-- KEYS  1 clients
-- ARGV  1 client  2 lease of a client  3 lease of a worker  4 seconds without a beat after which the broker was away
--       5 attempts  6 the event `Lost`, packed
-- Returns 1

local lease, now = tonumber(ARGV[2]), server_time()
beat(KEYS[1], ARGV[1], lease, now, tonumber(ARGV[4]), tonumber(ARGV[3]), lease)
trust(ARGV[1])
bury_workers(now, tonumber(ARGV[5]), ARGV[6])
return 1
