-- Return a claimed task to its old place, without counting the attempt: its worker leaves or cannot serve it.
--
-- KEYS  1 the task
-- ARGV  1 id  2 worker  3 attempt
-- Returns 1; 0 if the lease is lost

if not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
give_back(ARGV[1], ARGV[2])
return 1
