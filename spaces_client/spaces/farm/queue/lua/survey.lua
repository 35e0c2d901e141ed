-- Read the facts for a forecast: the queues, long ones by samples, and the running tasks of the live workers.
--
-- KEYS  1 workers
-- ARGV  1 tasks at the head of a queue that are returned one by one  2 samples of the rest
-- Returns, as msgpack: a list of { size, depth, list of { place, score, estimate } }, and
--       a list of { list of sizes, list of { seconds since its claim, estimate, time limit } }, one for each live worker

local now, head, samples = server_time(), tonumber(ARGV[1]), tonumber(ARGV[2])

local function told(queue, first, last, into)
  local found = redis.call('ZRANGE', queue, first, last, 'WITHSCORES')
  for number = 1, #found, 2 do
    local estimate = redis.call('HGET', keys.task(found[number]), 'estimate')
    table.insert(into, { first + (number - 1) / 2, tonumber(found[number + 1]), tonumber(estimate or 0) })
  end
end

local function surveyed(size)
  local queue, tasks = keys.queue(size), {}
  local depth = redis.call('ZCARD', queue)
  if depth <= head + samples then
    told(queue, 0, -1, tasks)
  else
    told(queue, 0, head - 1, tasks)
    for number = 0, samples - 1 do
      local place = head + math.floor((number + 0.5) * (depth - head) / samples)
      told(queue, place, place, tasks)
    end
  end
  return { size, depth, tasks }
end

local function in_hand(worker)
  local tasks = {}
  for _, id in ipairs(redis.call('SMEMBERS', keys.held(worker))) do
    local task = redis.call('HMGET', keys.task(id), 'started_at', 'estimate', 'time_limit')
    if task[1] then table.insert(tasks, { now - tonumber(task[1]), tonumber(task[2]), tonumber(task[3]) }) end
  end
  return tasks
end

local function sizes_of(worker)
  local sizes = {}
  for _, size in ipairs(SIZES) do
    if redis.call('SISMEMBER', keys.serving(size), worker) == 1 then table.insert(sizes, size) end
  end
  return sizes
end

local queues, workers = {}, {}
for _, size in ipairs(SIZES) do table.insert(queues, surveyed(size)) end
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
  table.insert(workers, { sizes_of(worker), in_hand(worker) })
end
return cmsgpack.pack({ queues, workers })
