-- Take the best task for this worker: the lowest sum of a task's score and the seconds that this worker needs to begin
-- it. A task that the worker holds unknowingly, because the answer to its claim was lost, is handed over again first.
-- A new task is left for a moment to an idle worker that would begin it sooner, and that worker is called. No task of a
-- paused Space is taken, none of one that has as many GPUs as it may, and none by a drained worker.
--
-- KEYS  1 workers
-- ARGV  1 worker  2 its lease  3 sizes that it serves, msgpack list
--       4 seconds to a ready child of each Space known to the worker, msgpack map  5 the same of any other Space
--       6 ids of the tasks that it knows it holds, msgpack list; '' if the worker does not keep account
--       7 most seconds that a task is left to another worker; 0 if this worker does not wait for bells afterwards
--       8 the event `Started`, packed, to write into the task's stream; '' for none
-- Returns id, size, message, task, attempt; or seconds, as text, after which to claim a task that is left to another
--       until then; 'drained'; or nothing, and then the bells of these sizes are cleared

local LOOKS = 16 -- the most tasks left to others, and the most idle workers, that are considered

local worker, now, hold = ARGV[1], server_time(), tonumber(ARGV[7])
local sizes, known, unseen = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4]), tonumber(ARGV[5])
local left, called, again = {}, {}, nil
-- Whether an operator has paused or limited a Space, or drained a worker; and whether a worker is idle, this one perhaps.
local operated, somebody_idle = redis.call('EXISTS', keys.paused(), keys.max_gpus(), keys.drained()) > 0, true

local function unknown_to_its_worker()
  if ARGV[6] == '' then return nil end
  local in_hand = {}
  for _, id in ipairs(cmsgpack.unpack(ARGV[6])) do in_hand[id] = true end
  for _, id in ipairs(redis.call('SMEMBERS', keys.held(worker))) do
    if not in_hand[id] then return id end
  end
end

-- The idle worker that would begin a task soonest, if that is still worth a wait; each worker gets only one task.
local function better_placed(space, age, idle)
  local least, found = known[space] or unseen, nil
  for _, other in ipairs(idle) do
    local seconds = other ~= worker and not called[other] and redis.call('HGET', keys.warmth(other), space)
    if seconds and tonumber(seconds) < least then least, found = tonumber(seconds), other end
  end
  return found, math.min(hold, (known[space] or unseen) - least) - age
end

local function leave(id, idle)
  local task = redis.call('HMGET', keys.task(id), 'space', 'enqueued_at')
  if not task[1] then return false end
  local other, moment = better_placed(task[1], now - tonumber(task[2]), idle)
  if not other or moment <= 0 then return false end
  called[other], again = true, math.min(again or moment, moment)
  if redis.call('LPUSH', keys.call(other), '1') > 1 then redis.call('LTRIM', keys.call(other), 0, 0) end
  redis.call('EXPIRE', keys.call(other), IDLE)
  return true
end

local function is_left(id, idle)
  if left[id] == nil then left[id] = leave(id, idle) end
  return left[id]
end

-- The first task of a queue that is not left to another worker.
local function head(queue, idle)
  local tasks = redis.call('ZRANGE', queue, 0, #idle > 0 and LOOKS or 0, 'WITHSCORES')
  for number = 1, #tasks, 2 do
    if #idle == 0 or not is_left(tasks[number], idle) then return tasks[number], tonumber(tasks[number + 1]) end
  end
end

local function paused()
  local found = {}
  for _, space in ipairs(redis.call('SMEMBERS', keys.paused())) do found[space] = true end
  return found
end

-- Whether so many tasks of a Space run. Those whose lifetime is over are not counted any more.
local function has(most, space)
  if redis.call('SCARD', keys.on_gpus(space)) < most then return false end
  for _, id in ipairs(redis.call('SMEMBERS', keys.on_gpus(space))) do
    if redis.call('EXISTS', keys.task(id)) == 0 then redis.call('SREM', keys.on_gpus(space), id) end
  end
  return redis.call('SCARD', keys.on_gpus(space)) >= most
end

-- The Spaces that have as many GPUs as they may; nothing if there are none.
local function full()
  local found, any = {}, false
  local limits = redis.call('HGETALL', keys.max_gpus())
  for number = 1, #limits, 2 do
    if has(tonumber(limits[number + 1]), limits[number]) then found[limits[number]], any = true, true end
  end
  return any and found or nil
end

local function best()
  local found, held_back, without = {}, operated and paused() or {}, operated and full()
  somebody_idle = false
  local function consider(queue, seconds, idle)
    local id, score = head(queue, idle)
    if id and (not found.id or score + seconds < found.score) then
      found = { id = id, score = score + seconds, queue = queue }
    end
    return id
  end
  for _, size in ipairs(sizes) do
    local idle = hold > 0 and redis.call('ZRANGEBYSCORE', keys.idle(size), now, '+inf', 'LIMIT', 0, LOOKS) or {}
    somebody_idle = somebody_idle or #idle > 0
    if without then -- the queue of all Spaces may begin with many tasks that must wait
      for _, space in ipairs(redis.call('SMEMBERS', keys.contenders(size))) do
        local waits = not held_back[space] and not without[space]
        if waits then consider(keys.waiting(size, space), math.min(unseen, known[space] or unseen), idle) end
        if redis.call('EXISTS', keys.waiting(size, space)) == 0 then redis.call('SREM', keys.contenders(size), space) end
      end
    elseif consider(keys.queue(size), unseen, idle) then
      for space, seconds in pairs(known) do
        if not held_back[space] then consider(keys.waiting(size, space), seconds, idle) end
      end
    end
  end
  return found.id, found.queue
end

-- No task: record as idle, with the seconds that this worker needs for each Space.
local function rest()
  for _, size in ipairs(sizes) do
    redis.call('ZREMRANGEBYSCORE', keys.idle(size), '-inf', now)
    redis.call('ZADD', keys.idle(size), now + IDLE, worker)
    redis.call('EXPIRE', keys.idle(size), IDLE)
  end
  local warmth = {}
  for space, seconds in pairs(known) do
    table.insert(warmth, space)
    table.insert(warmth, seconds)
  end
  redis.call('DEL', keys.warmth(worker))
  if #warmth > 0 then redis.call('HSET', keys.warmth(worker), unpack(warmth)) end
  redis.call('EXPIRE', keys.warmth(worker), IDLE)
end

local function rise()
  for _, size in ipairs(sizes) do redis.call('ZREM', keys.idle(size), worker) end
  redis.call('DEL', keys.warmth(worker), keys.call(worker))
end

-- The task for its worker; nothing if its lifetime is over.
local function take(id)
  local name = keys.task(id)
  local task = redis.call('HMGET', name, 'size', 'message', 'task', 'space', 'reader', 'attempt')
  if not task[1] then return nil end
  local attempt = tonumber(task[6]) + 1
  dequeue(id, task[1], task[4])
  redis.call('HSET', name, 'state', 'running', 'attempt', attempt, 'worker', worker, 'started_at', now, 'batch', 0)
  redis.call('SADD', keys.held(worker), id)
  redis.call('SADD', keys.on_gpus(task[4]), id)
  if attempt > 1 then redis.call('DEL', keys.credit(id)) end -- what was given to the attempt before
  if ARGV[8] ~= '' then write(id, ARGV[8], attempt, task[5]) end
  for _, key in ipairs({ name, keys.events(id), keys.held(worker), keys.on_gpus(task[4]) }) do redis.call('EXPIRE', key, WAITING) end
  return { id, task[1], task[2], task[3], attempt }
end

local function is_drained()
  local drained = redis.call('SMISMEMBER', keys.drained(), worker, node_of(worker))
  return drained[1] + drained[2] > 0
end

if redis.call('ZADD', KEYS[1], 'GT', now + tonumber(ARGV[2]), worker) == 1 then -- else its beats set the lifetime
  redis.call('EXPIRE', KEYS[1], WAITING)
end

local id, queue = unknown_to_its_worker(), keys.held(worker)
if not id and operated and is_drained() then return 'drained' end
if not id then id, queue = best() end
local task = id and take(id)
while id and not task do -- its lifetime is over
  redis.call(queue == keys.held(worker) and 'SREM' or 'ZREM', queue, id)
  id, queue = best()
  task = id and take(id)
end
if task then
  if hold > 0 and somebody_idle then rise() end
  return task
end
if hold > 0 then rest() end
if again then return tostring(again) end
for _, size in ipairs(sizes) do redis.call('DEL', keys.bell(size)) end
return false
