-- Read a visitor's usage.
--
-- KEYS  1 the visitor's usage
-- ARGV  1 visitor  2 half-life of the usage that counts in the rank
-- Returns, as texts: seconds used in the current day, seconds until it ends or 0 if no day has begun, seconds reserved,
--         number of tasks that wait or run, the usage that counts in the rank, and the tier and the seconds a day, -1 for
--         no limit, by which the last task was admitted; both empty if none was

local visitor, now = ARGV[1], server_time()
forget_vanished(visitor)
local usage = usage_of(visitor, tonumber(ARGV[2]), now)
local wait = usage.since and usage.since + DAY - now or 0
local tasks = redis.call('HLEN', keys.reserved(visitor))
local terms = redis.call('HMGET', keys.usage(visitor), 'tier', 'daily')
return { tostring(usage.used), tostring(wait), tostring(reserved_by(visitor)), tostring(tasks), tostring(usage.decayed),
  terms[1] or '', terms[2] or '' }
