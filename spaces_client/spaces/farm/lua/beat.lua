-- A worker is alive: extend its lease, store what it tells of itself and which sizes it serves, and take over from the
-- dead. The tasks of a worker whose lease expired go back to their old places, or end as lost; those of a web process
-- are cancelled.
--
-- KEYS  1 workers
-- ARGV  1 worker  2 lease of a worker  3 lease of a client  4 seconds after which the broker was away  5 info, JSON
--       6 attempts  7 the event `Lost`, packed  8 reason for cancelling a dead client's tasks
--       9 the event `Cancelled` with that reason, packed
-- Returns 1 if the worker's lease still stood, else 0; then id, reason of each of its tasks that must stop

local worker, lease, now = ARGV[1], tonumber(ARGV[2]), server_time()

local function lose(id, dead)
  if redis.call('EXISTS', keys.task(id)) == 0 then return end
  local lost = redis.call('HINCRBY', keys.task(id), 'lost', 1)
  local cancelled = redis.call('HEXISTS', keys.task(id), 'cancelled') == 1
  if lost < tonumber(ARGV[6]) or cancelled then return give_back(id, dead) end
  redis.call('HDEL', keys.task(id), 'worker')
  finish(id, 'lost', ARGV[7])
end

local function expired(leases)
  return redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 20)
end

local had_lease = redis.call('ZSCORE', KEYS[1], worker) and 1 or 0
beat(KEYS[1], worker, lease, now, tonumber(ARGV[4]), lease, tonumber(ARGV[3]))
redis.call('SET', keys.worker(worker), ARGV[5], 'PX', math.ceil(lease * 1000))
for _, size in ipairs(cjson.decode(ARGV[5]).sizes or {}) do
  redis.call('SADD', keys.serving(size), worker)
  redis.call('EXPIRE', keys.serving(size), WAITING)
end

for _, dead in ipairs(expired(KEYS[1])) do
  for _, id in ipairs(redis.call('SMEMBERS', keys.held(dead))) do lose(id, dead) end
  redis.call('DEL', keys.held(dead))
  redis.call('ZREM', KEYS[1], dead)
  stop_serving(dead)
end
for _, dead in ipairs(expired(keys.clients())) do
  for _, id in ipairs(redis.call('SMEMBERS', keys.client(dead))) do cancel(id, ARGV[8], ARGV[9]) end
  redis.call('DEL', keys.client(dead))
  redis.call('ZREM', keys.clients(), dead)
end

local answer = { had_lease }
for _, id in ipairs(redis.call('SMEMBERS', keys.held(worker))) do
  local task = redis.call('HMGET', keys.task(id), 'cancelled', 'reason')
  if task[1] then
    table.insert(answer, id)
    table.insert(answer, task[2])
  end
end
return answer
