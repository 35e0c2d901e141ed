-- Accept a task: store it, rank it, wake a worker. The same task pushed twice is accepted once, for its producer tries
-- again when an answer was lost.
--
-- KEYS  1 the task
-- ARGV  1 id  2 task, packed  3 Celery's message  4 space  5 size  6 client or ''  7 estimate  8 time limit
--       9 weight of the estimate  10 lease of a client that has not beaten yet
-- Returns 1 if the task is new, else 0

local id, space, size, client, estimate = ARGV[1], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end

local now = server_time()
local score = now + tonumber(ARGV[9]) * tonumber(estimate)
redis.call('HSET', KEYS[1], 'task', ARGV[2], 'message', ARGV[3], 'space', space, 'size', size, 'estimate', estimate,
  'time_limit', ARGV[8], 'score', score, 'state', 'queued', 'enqueued_at', now, 'attempt', 0)
redis.call('EXPIRE', KEYS[1], WAITING)
if client ~= '' then
  redis.call('HSET', KEYS[1], 'client', client)
  redis.call('SADD', keys.client(client), id)
  redis.call('EXPIRE', keys.client(client), WAITING)
  redis.call('ZADD', keys.clients(), 'NX', now + tonumber(ARGV[10]), client)
  redis.call('EXPIRE', keys.clients(), WAITING)
end
enqueue(id, size, space, score)
return 1
