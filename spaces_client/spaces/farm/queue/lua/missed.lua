-- Find the tasks that have events which their reader does not know.
--
-- KEYS  1 workers
-- ARGV  for each task: its id, the id of the last entry of its stream that its reader knows
-- Returns the ids of these tasks, and the ids of tasks that do not exist

local behind, unknown = {}, {}
for number = 1, #ARGV, 2 do
  local id = ARGV[number]
  local newest = redis.call('XREVRANGE', keys.events(id), '+', '-', 'COUNT', 1)[1]
  if newest and newest[1] ~= ARGV[number + 1] then
    table.insert(behind, id)
  elseif not newest and redis.call('EXISTS', keys.task(id)) == 0 then
    table.insert(unknown, id)
  end
end
return { behind, unknown }
