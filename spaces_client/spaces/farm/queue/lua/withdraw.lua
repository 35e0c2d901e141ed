-- Stop a task whose caller was told that it was not queued. A push of it that the broker has not executed yet, because it
-- was away, is not accepted either.
--
-- KEYS  1 the task
-- ARGV  1 id  2 reason  3 the event `Cancelled`, packed
-- Returns 1

redis.call('SET', keys.withdrawn(ARGV[1]), 1, 'EX', WITHDRAWN)
cancel_unread(ARGV[1], ARGV[2], ARGV[3])
return 1
