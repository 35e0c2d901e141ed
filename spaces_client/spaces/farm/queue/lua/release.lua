-- Put a claimed task back to its old place: its worker leaves or cannot serve it, and that is not the task's fault.
--
-- KEYS  1 the task
-- ARGV  1 id  2 worker  3 attempt
-- Returns 1; 0 if the lease is lost

if not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
give_back(ARGV[1], ARGV[2])
return 1
