-- A web process is alive: extend its lease.
--
-- KEYS  1 clients
-- ARGV  1 client  2 lease of a client  3 lease of a worker  4 seconds after which the broker was away
-- Returns 1

local lease = tonumber(ARGV[2])
beat(KEYS[1], ARGV[1], lease, server_time(), tonumber(ARGV[4]), tonumber(ARGV[3]), lease)
return 1
