-- Accept a task: store it, rank it, wake a worker. A task that is pushed twice is accepted once, because its producer
-- retries if an answer was lost; one that was withdrawn is never accepted.
--
-- KEYS  1 the task
-- ARGV  1 id  2 task, packed  3 Celery's message  4 label  5 space  6 size  7 client or ''  8 estimate  9 time limit
--       10 bytes of the arguments  11 field of the learned duration of its kind
--       12 terms of its visitor's quota, msgpack map; '' if it counts for no visitor
--       13 the rules, msgpack map: `weight`, `floor` and `cap` of an estimate; `doubt`, the weight of the declaration
--       in runs; the limits `space_queue`, `farm_queue` and `payload_bytes`; `client_lease`, the first lease of a
--       client that has sent no beat yet
--       14 the inbox that reads its events; '' for none  15 1 if `task` has all of the arguments; '' if they are elsewhere
--       16 the failed task that an operator retries by it; '' for none. Its outcome is kept then
--       17 the note of `task_traces.note` for its trace; '' for none
--       18 its revision in msgpack, if that must be the latest of its Space; '' for any
-- Returns 1 if the task is new, else 0; for a refused task 'size' and the sizes that live workers serve, or the
-- exceeded limit, the actual and the allowed value, 'quota' and the result of `over_quota` in quota.lua,
-- 'retried', the failed task and the one by which it was retried before, or 'changed'

local id, space, size, client, failed = ARGV[1], ARGV[5], ARGV[6], ARGV[7], ARGV[16]
if redis.call('EXISTS', KEYS[1], keys.withdrawn(id)) > 0 then return 0 end

-- A packed record begins with at most 24 bytes around the name of its Space, and then has its revision.
local function has_changed()
  local start = redis.call('GETRANGE', keys.space(space), 0, 24 + #space + #ARGV[18])
  return not start:find(ARGV[18], 1, true)
end
if ARGV[18] ~= '' and has_changed() then return { 'changed' } end

local waiting, operated = redis.call('ZCARD', keys.arrivals()), redis.call('EXISTS', keys.paused(), keys.priority()) > 0
local now, workers, rules = server_time(), redis.call('SCARD', keys.serving(size)), cmsgpack.unpack(ARGV[13])

-- The arithmetic of `estimates.estimate`; the task's own estimate if nothing was learned.
local function expected()
  local known, declared = redis.call('HGET', keys.learned(space), ARGV[11]), tonumber(ARGV[9])
  if not known then return tonumber(ARGV[8]) end
  local count, mean = known:match('^(%d+) (%S+)$')
  local trust = tonumber(count) / (tonumber(count) + rules.doubt)
  return declared * math.min(tonumber(mean) / declared, 1) ^ trust
end
local estimate = expected()

local function is_served(each)
  for _, worker in ipairs(redis.call('SMEMBERS', keys.serving(each))) do
    if tonumber(redis.call('ZSCORE', keys.workers(), worker) or 0) > now then return true end
  end
  return false
end

-- While no worker is alive any size may wait, because the sizes of later workers are unknown.
local function sizes_instead()
  local served = {}
  for _, each in ipairs(SIZES) do
    if each ~= size and is_served(each) then table.insert(served, each) end
  end
  return served
end

local function waiting_of_space()
  local count = 0
  for _, each in ipairs(SIZES) do count = count + redis.call('ZCARD', keys.waiting(each, space)) end
  return count
end

-- If fewer tasks wait in the whole farm than one Space may have, the Space's tasks need not be counted.
local function limit_passed()
  local instead = workers == 0 and sizes_instead() or {}
  if #instead > 0 then return { 'size', unpack(instead) } end
  if tonumber(ARGV[10]) > rules.payload_bytes then return { 'payload', ARGV[10], tostring(rules.payload_bytes) } end
  local of_space = waiting >= rules.space_queue and waiting_of_space() or 0
  if of_space >= rules.space_queue then return { 'space_queue', tostring(of_space), tostring(rules.space_queue) } end
  if waiting >= rules.farm_queue then return { 'farm_queue', tostring(waiting), tostring(rules.farm_queue) } end
end

-- The arithmetic of `estimates.handicap`: a second on one of n GPUs delays the other tasks by 1/n of a second.
local function handicap()
  return rules.weight / math.max(1, workers) * math.min(math.max(estimate, rules.floor), rules.cap)
end

-- The arithmetic of `demand.Arrivals.after_one`. Returns whether this is not the Space's first arrival of the hour.
local function count_arrival()
  local soon, later, at = (redis.call('HGET', keys.demand(), space) or '0 0 0'):match('^(%S+) (%S+) (%S+)$')
  local passed = math.max(0, now - tonumber(at))
  soon, later = soon * 2 ^ (-passed / SOON) + 1, later * 2 ^ (-passed / LATER) + 1
  redis.call('HSET', keys.demand(), space, string.format('%.9g %.9g %.17g', soon, later, now))
  local lately = math.floor(at / RENEWAL) == math.floor(now / RENEWAL)
  if not lately then redis.call('EXPIRE', keys.demand(), LEARNED + RENEWAL) end
  return lately
end

-- A retry that was cancelled does not count, nor does one that was withdrawn.
local function earlier_retry()
  local earlier = failed ~= '' and redis.call('HGET', keys.task(failed), 'retried')
  local state = earlier and redis.call('HGET', keys.task(earlier), 'state')
  return state and state ~= 'cancelled' and earlier
end

local earlier = earlier_retry()
if earlier then return { 'retried', failed, earlier } end

local refused = limit_passed()
if refused then
  count_refusal(refused[1])
  return refused
end

local handicap_of_usage, over = admit(id, ARGV[12], estimate, now)
if over then
  count_refusal('quota')
  return { 'quota', unpack(over) }
end

-- So many seconds of waiting are given to each task of a Space that its operator puts ahead.
local ahead = operated and tonumber(redis.call('HGET', keys.priority(), space) or 0) or 0

local score = now + handicap() + handicap_of_usage - ahead
redis.call('HSET', KEYS[1], 'task', ARGV[2], 'message', ARGV[3], 'label', ARGV[4], 'space', space, 'size', size,
  'estimate', estimate, 'time_limit', ARGV[9], 'score', score, 'state', 'queued', 'enqueued_at', now, 'attempt', 0,
  'client', client, 'reader', ARGV[14], unpack(ARGV[15] ~= '' and { 'whole', 1 } or {}))
if failed ~= '' then
  redis.call('HSET', KEYS[1], 'detached', 1)
  if redis.call('EXISTS', keys.task(failed)) == 1 then redis.call('HSET', keys.task(failed), 'retried', id) end
end
if ARGV[17] ~= '' then redis.call('HSET', KEYS[1], 'trace', ARGV[17]) end
redis.call('EXPIRE', KEYS[1], WAITING)
if client ~= '' then
  redis.call('SADD', keys.client(client), id)
  redis.call('EXPIRE', keys.client(client), WAITING)
  if redis.call('ZADD', keys.clients(), 'NX', now + rules.client_lease, client) == 1 then
    redis.call('EXPIRE', keys.clients(), WAITING)
  end
end
enqueue(id, size, space, score, now, count_arrival() and waiting > 0, not operated)
return 1
