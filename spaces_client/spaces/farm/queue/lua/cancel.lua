-- Stop a task: a waiting one ends here and now, of a running one the worker is told.
--
-- KEYS  1 the task
-- ARGV  1 id  2 reason  3 the event `Cancelled`, packed
-- Returns 'removed', 'told', 'ended' if it had ended before, 'unknown' if there is none

return cancel(ARGV[1], ARGV[2], ARGV[3])
