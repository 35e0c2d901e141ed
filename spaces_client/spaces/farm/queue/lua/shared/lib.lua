-- Functions that the scripts share. The lifetimes are prefixed to it; keys.py expands keys such as `keys.task(id)`.

local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Wake one idle worker; false if as many are being woken as can be. More tokens than workers would only cause claims that
-- find nothing. The oldest token sets the
-- lifetime, because an idle worker claims regularly even without a bell.
local function ring(size)
  local bell = keys.bell(size)
  if redis.call('LLEN', bell) >= 64 then return false end
  if redis.call('LPUSH', bell, '1') == 1 then redis.call('EXPIRE', bell, WAITING) end
  return true
end

local function insert(queue, score, id)
  redis.call('ZADD', queue, score, id)
  redis.call('EXPIRE', queue, WAITING)
end

-- The keys that all pushes share get their lifetime when they may be new, and once an hour: `lately` says that tasks
-- wait, and that the Space has got another one within this hour.
local function enqueue(id, size, space, score, arrived_at, lately, never_paused)
  insert(keys.waiting(size, space), score, id)
  redis.call('ZADD', keys.arrivals(), arrived_at, id)
  if redis.call('SADD', keys.contenders(size), space) == 1 or not lately then
    redis.call('EXPIRE', keys.arrivals(), WAITING + RENEWAL)
    for _, each in ipairs(SIZES) do redis.call('EXPIRE', keys.contenders(each), WAITING + RENEWAL) end
  end
  if not never_paused and redis.call('SISMEMBER', keys.paused(), space) == 1 then return end
  insert(keys.queue(size), score, id)
  ring(size)
end

local function dequeue(id, size, space)
  redis.call('ZREM', keys.queue(size), id)
  redis.call('ZREM', keys.waiting(size, space), id)
  redis.call('ZREM', keys.arrivals(), id)
end

-- A worker by the name that it has at every start.
local function node_of(worker)
  return worker:match('^(.*):[^:]*$') or worker
end

local function count_refusal(limit)
  redis.call('HINCRBY', keys.refused(), limit, 1)
  redis.call('EXPIRE', keys.refused(), REFUSED)
end

local function stop_serving(worker)
  for _, size in ipairs(SIZES) do redis.call('SREM', keys.serving(size), worker) end
  if worker ~= node_of(worker) then redis.call('SREM', keys.drained(), worker) end -- else all of its node are drained
end

-- Whether this claim is still valid: nothing is written once a lease is lost. Also the task's reader.
local function holds(id, worker, attempt)
  local task = redis.call('HMGET', keys.task(id), 'state', 'worker', 'attempt', 'reader')
  return task[1] == 'running' and task[2] == worker and task[3] == attempt, task[4]
end

local function note(id, event, attempt)
  return redis.call('XADD', keys.events(id), 'MAXLEN', '~', EVENTS_KEPT, '*', 'e', event, 'n', attempt)
end

local function publish(id, entry, attempt, events, reader)
  if (reader or '') == '' then return end
  redis.call('PUBLISH', keys.inbox(reader), id .. ' ' .. entry .. ' ' .. attempt .. ' ' .. events)
end

-- An event goes into the task's stream, and at once to the inbox of its reader, if it has one.
local function write(id, event, attempt, reader)
  publish(id, note(id, event, attempt), attempt, event, reader)
end

local function forget_arguments(id, detached)
  redis.call('HDEL', keys.task(id), 'cancelled', 'message', detached and 'message' or 'task')
end

-- Keep the arguments of a failed task, so that an operator can retry it. Those of the latest RETRYABLE tasks are kept.
local function keep_arguments(id)
  redis.call('HDEL', keys.task(id), 'cancelled')
  redis.call('LPUSH', keys.retryable(), id)
  redis.call('EXPIRE', keys.retryable(), ENDED)
  if redis.call('LLEN', keys.retryable()) <= RETRYABLE then return end
  local oldest = redis.call('RPOP', keys.retryable())
  forget_arguments(oldest, redis.call('HEXISTS', keys.task(oldest), 'detached') == 1)
end

-- End a task in any state; every end goes through here. `run` is of a worker that had it: seconds `charged` to its
-- visitor; if its function began, its `seconds` and those of the `swap` before it; and what `stopped` it, if anything.
local function finish(id, state, event, run)
  local name = keys.task(id)
  local before, size, space, client, worker, attempt, reader, label, enqueued_at, started_at, reason, visitor, reserved,
    rate, half_life, detached, whole, trace = unpack(redis.call('HMGET', name, 'state', 'size', 'space', 'client', 'worker',
    'attempt', 'reader', 'label', 'enqueued_at', 'started_at', 'reason', 'visitor', 'reserved', 'rate', 'half_life',
    'detached', 'whole', 'trace'))
  if before == 'queued' then dequeue(id, size, space) end
  if (client or '') ~= '' then redis.call('SREM', keys.client(client), id) end
  if worker then redis.call('SREM', keys.held(worker), id) end
  if space then redis.call('SREM', keys.on_gpus(space), id) end
  write(id, event, attempt, reader)
  local now = server_time()
  redis.call('HSET', name, 'state', state, 'ended_at', now)
  if reserved then settle(id, visitor, tonumber(rate), tonumber(half_life), run and run.charged or 0, now) end
  local facts = { id, label, space, size, state, worker or '', tonumber(attempt or 0), visitor or '', enqueued_at,
    started_at or '', now, run and run.swap or '', run and run.seconds or '', reason or '' }
  record_end(space, state, event, facts, tonumber(enqueued_at), tonumber(started_at), now, run, trace)
  if FAILURES[state] and whole then keep_arguments(id) else forget_arguments(id, detached) end
  redis.call('EXPIRE', name, ENDED)
  redis.call('EXPIRE', keys.events(id), ENDED)
end

-- Whether a web process has not been heard since nobody was: it is gone, or it has not reached the broker yet.
local function is_doubted(client)
  return (client or '') ~= '' and redis.call('SISMEMBER', keys.doubted(), client) == 1
end

-- Take a running task from its worker: return it to its old place, or end it if its cancellation was requested. The
-- task of a doubted web process gets its place when that is heard. `cause` is counted.
local function give_back(id, worker, cause)
  local name = keys.task(id)
  redis.call('SREM', keys.held(worker), id)
  local task = redis.call('HMGET', name, 'size', 'space', 'score', 'cancelled', 'enqueued_at', 'client')
  redis.call('SREM', keys.on_gpus(task[2]), id)
  redis.call('HDEL', name, 'worker', 'started_at')
  if task[4] then return finish(id, 'cancelled', task[4]) end
  redis.call('HSET', name, 'state', 'queued')
  count_task(task[2], 'retried ' .. cause)
  if is_doubted(task[6]) then return insert(keys.arrivals(), task[5], id) end
  enqueue(id, task[1], task[2], task[3], task[5])
end

-- Stop a task: a waiting task is removed; for a running task, its worker is told. Returns the outcome.
local function cancel(id, reason, event)
  local name = keys.task(id)
  local task = redis.call('HMGET', name, 'state', 'worker')
  if not task[1] then return 'unknown' end
  if task[1] == 'queued' then
    redis.call('HSET', name, 'reason', reason)
    finish(id, 'cancelled', event)
    return 'removed'
  end
  if task[1] ~= 'running' then return 'ended' end
  redis.call('HSETNX', name, 'reason', reason)
  redis.call('HSETNX', name, 'cancelled', event)
  redis.call('PUBLISH', keys.cancellations(task[2]), id .. ' ' .. reason)
  return 'told'
end

-- The process that waited for a task is gone, and so is the only reader of what the task says.
local function cancel_unread(id, reason, event)
  if redis.call('EXISTS', keys.task(id)) == 1 then redis.call('HSET', keys.task(id), 'unfollowed', 1) end
  cancel(id, reason, event)
end

local function expired(leases, now)
  return redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 20)
end

-- Recover a task of a dead worker: return it to its old place, or end it as lost after so many dead workers.
local function lose(id, dead, attempts, lost)
  if redis.call('EXISTS', keys.task(id)) == 0 then return end
  local times = redis.call('HINCRBY', keys.task(id), 'lost', 1)
  if times < attempts or redis.call('HEXISTS', keys.task(id), 'cancelled') == 1 then return give_back(id, dead, 'worker_died') end
  redis.call('HDEL', keys.task(id), 'worker')
  finish(id, 'lost', lost)
end

-- Take over from workers whose lease has expired; `lost` is the event for a task that has no attempt left.
local function bury_workers(now, attempts, lost)
  for _, dead in ipairs(expired(keys.workers(), now)) do
    count_expired_lease('worker')
    for _, id in ipairs(redis.call('SMEMBERS', keys.held(dead))) do lose(id, dead, attempts, lost) end
    redis.call('DEL', keys.held(dead))
    redis.call('ZREM', keys.workers(), dead)
    stop_serving(dead)
  end
end

-- Doubt a web process: no worker may claim its tasks until it is heard. They stay in `arrivals`.
local function doubt(client)
  redis.call('SADD', keys.doubted(), client)
  redis.call('EXPIRE', keys.doubted(), WAITING)
  for _, id in ipairs(redis.call('SMEMBERS', keys.client(client))) do
    local task = redis.call('HMGET', keys.task(id), 'state', 'size', 'space')
    if task[1] == 'queued' then
      redis.call('ZREM', keys.queue(task[2]), id)
      redis.call('ZREM', keys.waiting(task[2], task[3]), id)
    end
  end
end

-- A doubted web process is heard: its tasks return to their old places.
local function trust(client)
  if redis.call('SREM', keys.doubted(), client) == 0 then return end
  for _, id in ipairs(redis.call('SMEMBERS', keys.client(client))) do
    local task = redis.call('HMGET', keys.task(id), 'state', 'size', 'space', 'score', 'enqueued_at')
    if task[1] == 'queued' then enqueue(id, task[2], task[3], task[4], task[5]) end
  end
end

-- Extend a lease. If no process has sent a beat for a while, the broker itself was away and its leases are outdated:
-- then every process gets one new lease before any is declared dead. It may also be that the whole farm was stopped, and
-- then its web processes never come back, so each is doubted until it is heard.
local function beat(lease, name, seconds, now, away, worker_seconds, client_seconds)
  local last = tonumber(redis.call('GET', keys.last_beat()) or now)
  redis.call('SET', keys.last_beat(), now, 'EX', WAITING)
  if now - last > away then
    for key, fresh in pairs({ [keys.workers()] = worker_seconds, [keys.clients()] = client_seconds }) do
      for _, each in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        redis.call('ZADD', key, 'GT', now + fresh, each)
      end
    end
    for _, client in ipairs(redis.call('ZRANGE', keys.clients(), 0, -1)) do doubt(client) end
  end
  redis.call('ZADD', lease, now + seconds, name)
  redis.call('EXPIRE', lease, WAITING)
end
