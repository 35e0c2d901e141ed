-- Accept a task: store it, rank it, wake a worker. The same task pushed twice is accepted once, for its producer tries
-- again when an answer was lost.
--
-- KEYS  1 the task
-- ARGV  1 id  2 task, packed  3 Celery's message  4 label  5 space  6 size  7 client or ''  8 estimate  9 time limit
--       10 bytes of the arguments  11 lease of a client that has not beaten yet
--       12 weight of an estimate  13 floor of an estimate  14 cap of an estimate
--       15 longest queue of a Space  16 longest queue of the farm  17 largest arguments, in bytes
--       18 terms of its visitor's quota, msgpack map; '' for one that counts for nobody
--       19 field of what was learned of its kind  20 doubt of it, in runs
-- Returns 1 if the task is new, else 0; of a task that is refused 'size' and the sizes that live workers serve, or the
-- limit that it is over, its value, and what it may be, or 'quota' and what `over_quota` in quota.lua says

local id, space, size, client = ARGV[1], ARGV[5], ARGV[6], ARGV[7]
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end

local now, workers = server_time(), redis.call('SCARD', keys.serving(size))

-- The arithmetic of `estimates.estimate`; its own estimate stands where nothing was learned.
local function expected()
  local known, declared = redis.call('HGET', keys.learned(space), ARGV[19]), tonumber(ARGV[9])
  if not known then return tonumber(ARGV[8]) end
  local count, mean = known:match('^(%d+) (%S+)$')
  local trust = tonumber(count) / (tonumber(count) + tonumber(ARGV[20]))
  return declared * math.min(tonumber(mean) / declared, 1) ^ trust
end
local estimate = expected()

local function is_served(each)
  for _, worker in ipairs(redis.call('SMEMBERS', keys.serving(each))) do
    if tonumber(redis.call('ZSCORE', keys.workers(), worker) or 0) > now then return true end
  end
  return false
end

-- While no worker is alive anything may wait: nobody knows which ones will come.
local function sizes_instead()
  if workers > 0 then return {} end
  local served = {}
  for _, each in ipairs(SIZES) do
    if is_served(each) then table.insert(served, each) end
  end
  return served
end

local function waiting(of_space)
  local count = 0
  for _, each in ipairs(SIZES) do
    count = count + redis.call('ZCARD', of_space and keys.waiting(each, of_space) or keys.queue(each))
  end
  return count
end

local function limit_passed()
  local instead = sizes_instead()
  if #instead > 0 then return { 'size', unpack(instead) } end
  if tonumber(ARGV[10]) > tonumber(ARGV[17]) then return { 'payload', ARGV[10], ARGV[17] } end
  local limits = { { 'space_queue', waiting(space), ARGV[15] }, { 'farm_queue', waiting(), ARGV[16] } }
  for _, limit in ipairs(limits) do
    if limit[2] >= tonumber(limit[3]) then return { limit[1], tostring(limit[2]), limit[3] } end
  end
end

-- The arithmetic of `estimates.handicap`: a second on one of n GPUs keeps the others waiting for 1/n of a second.
local function handicap()
  return tonumber(ARGV[12]) / math.max(1, workers) * math.min(math.max(estimate, tonumber(ARGV[13])), tonumber(ARGV[14]))
end

local refused = limit_passed()
if refused then
  count_refusal(refused[1])
  return refused
end

local handicap_of_usage, over = admit(id, ARGV[18], estimate, now)
if over then
  count_refusal('quota')
  return { 'quota', unpack(over) }
end

local score = now + handicap() + handicap_of_usage
redis.call('HSET', KEYS[1], 'task', ARGV[2], 'message', ARGV[3], 'label', ARGV[4], 'space', space, 'size', size,
  'estimate', estimate, 'time_limit', ARGV[9], 'score', score, 'state', 'queued', 'enqueued_at', now, 'attempt', 0)
redis.call('EXPIRE', KEYS[1], WAITING)
if client ~= '' then
  redis.call('HSET', KEYS[1], 'client', client)
  redis.call('SADD', keys.client(client), id)
  redis.call('EXPIRE', keys.client(client), WAITING)
  redis.call('ZADD', keys.clients(), 'NX', now + tonumber(ARGV[11]), client)
  redis.call('EXPIRE', keys.clients(), WAITING)
end
enqueue(id, size, space, score, now)
return 1
