-- End a running task and take the next one for the same worker, in one step.
--
-- KEYS  1 the task
-- ARGV  1 to 12 those of `end.lua`  13 and more: those of `claim.lua`
-- Returns the answer of `end.lua`, and that of `claim.lua` unless the lease is lost

local function ended()
  include('end')
end

local function claimed(KEYS, ARGV)
  include('claim')
end

local how = ended()
if how == 0 then return { how } end
return { how, claimed({ keys.workers() }, { unpack(ARGV, 13) }) }
