-- Extend a worker's lease, store its description and the sizes that it serves, and take over from dead processes. The
-- tasks of a worker whose lease expired return to their old places, or end as lost; those of a web process are
-- cancelled.
--
-- KEYS  1 workers
-- ARGV  1 worker  2 lease of a worker  3 lease of a client  4 seconds without a beat after which the broker was away
--       5 description, JSON  6 attempts  7 the event `Lost`, packed  8 reason for cancelling a dead client's tasks
--       9 the event `Cancelled` with that reason, packed
-- Returns 1 if the worker's lease was still valid, else 0; then id and reason of each of its tasks that must stop

local worker, lease, now = ARGV[1], tonumber(ARGV[2]), server_time()

local had_lease = redis.call('ZSCORE', KEYS[1], worker) and 1 or 0
beat(KEYS[1], worker, lease, now, tonumber(ARGV[4]), lease, tonumber(ARGV[3]))
redis.call('SET', keys.worker(worker), ARGV[5], 'PX', math.ceil(lease * 1000))
local info = cjson.decode(ARGV[5])
for _, size in ipairs(info.sizes or {}) do
  redis.call('SADD', keys.serving(size), worker)
  redis.call('EXPIRE', keys.serving(size), WAITING)
end

-- A worker tells totals since its start, because a beat may arrive twice.
local function absorb(node, totals)
  for name, total in pairs(totals) do
    local before = tonumber(redis.call('HGET', keys.reported(worker), name) or 0)
    if total > before then
      redis.call('HSET', keys.reported(worker), name, total)
      redis.call('HINCRBY', keys.tally(node), name, total - before)
    end
  end
  redis.call('EXPIRE', keys.reported(worker), WAITING)
  redis.call('EXPIRE', keys.tally(node), COUNTED)
end
if info.totals then absorb(info.node, info.totals) end

bury_workers(now, tonumber(ARGV[6]), ARGV[7])
for _, dead in ipairs(expired(keys.clients(), now)) do
  count_expired_lease('client')
  for _, id in ipairs(redis.call('SMEMBERS', keys.client(dead))) do cancel_unread(id, ARGV[8], ARGV[9]) end
  redis.call('DEL', keys.client(dead))
  redis.call('ZREM', keys.clients(), dead)
  redis.call('SREM', keys.doubted(), dead)
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
