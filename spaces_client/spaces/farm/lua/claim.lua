-- Take the best task for this worker: the head of a queue that it serves, or the head of a Space that is warm here, whose
-- bonus makes it rank earlier by the seconds that a swap would cost. A task that the worker holds without knowing,
-- because the answer to its claim was lost, is handed over again first.
--
-- KEYS  1 workers
-- ARGV  1 worker  2 its lease  3 sizes that it serves, msgpack list  4 bonus of each warm Space, msgpack map
--       5 ids of the tasks that it has in hand, msgpack list; '' where the worker does not keep account
-- Returns id, size, message, task, attempt; or nothing, and then the bells of these sizes are silent

local worker = ARGV[1]
local sizes, warm = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])

local function unknown_to_its_worker()
  if ARGV[5] == '' then return nil end
  local in_hand = {}
  for _, id in ipairs(cmsgpack.unpack(ARGV[5])) do in_hand[id] = true end
  for _, id in ipairs(redis.call('SMEMBERS', keys.held(worker))) do
    if not in_hand[id] then return id end
  end
end

local function best()
  local found = {}
  local function consider(queue, bonus)
    local head = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
    if #head == 0 then return false end
    local score = tonumber(head[2]) - bonus
    if not found.score or score < found.score then found = { id = head[1], score = score, queue = queue } end
    return true
  end
  for _, size in ipairs(sizes) do
    if consider(keys.queue(size), 0) then
      for space, bonus in pairs(warm) do consider(keys.waiting(size, space), bonus) end
    end
  end
  return found.id, found.queue
end

local function take(id)
  local name = keys.task(id)
  local task = redis.call('HMGET', name, 'size', 'message', 'task', 'space')
  local attempt = redis.call('HINCRBY', name, 'attempt', 1)
  dequeue(id, task[1], task[4])
  redis.call('HSET', name, 'state', 'running', 'worker', worker, 'started_at', server_time(), 'batch', 0)
  redis.call('SADD', keys.held(worker), id)
  redis.call('DEL', keys.credit(id))
  for _, key in ipairs({ name, keys.events(id), keys.held(worker) }) do redis.call('EXPIRE', key, WAITING) end
  return { id, task[1], task[2], task[3], attempt }
end

redis.call('ZADD', KEYS[1], 'GT', server_time() + tonumber(ARGV[2]), worker)
redis.call('EXPIRE', KEYS[1], WAITING)

local id, queue = unknown_to_its_worker(), keys.held(worker)
if not id then id, queue = best() end
while id and redis.call('EXISTS', keys.task(id)) == 0 do -- it outlived its lifetime
  redis.call(queue == keys.held(worker) and 'SREM' or 'ZREM', queue, id)
  id, queue = best()
end
if id then return take(id) end
for _, size in ipairs(sizes) do redis.call('DEL', keys.bell(size)) end
return false
