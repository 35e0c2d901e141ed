-- Stop a task: a waiting task ends at once; for a running task, its worker is told.
--
-- KEYS  1 the task
-- ARGV  1 id  2 reason  3 the event `Cancelled`, packed
-- Returns 'removed', 'told', 'ended' if it had ended before, 'unknown' if it does not exist

return cancel(ARGV[1], ARGV[2], ARGV[3])
