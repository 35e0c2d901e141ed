-- The counters of a farm, and its record of ended tasks. The script that makes a change also counts it, so that no
-- counter dies with a process. Prefixed to lib.lua.
--
-- Fields of `counts:{space}`: `ended {state}`, `stopped {cause}`, `retried {cause}`; and for each span of time, `wait`,
-- `swap`, `run` and `overhead`, its histogram: `{span} {n}`, the tasks in bucket n of BOUNDS, and `{span} us`, the sum in
-- microseconds. An entry of `history` has `t`, the facts of the task as a msgpack list (`counters/history.py` names them),
-- `e`, its last event unless it succeeded, and `x`, the note of `task_traces.note` for its trace, if any.

local function count_task(space, field)
  redis.call('HINCRBY', keys.counts(space), field, 1)
  redis.call('EXPIRE', keys.counts(space), COUNTED)
end

local function count_expired_lease(kind)
  redis.call('HINCRBY', keys.counts(''), kind, 1)
  redis.call('EXPIRE', keys.counts(''), COUNTED)
end

local function observe(space, span, seconds)
  local bucket = #BOUNDS + 1
  for place, bound in ipairs(BOUNDS) do
    if seconds <= bound then
      bucket = place
      break
    end
  end
  redis.call('HINCRBY', keys.counts(space), span .. ' ' .. bucket, 1)
  redis.call('HINCRBY', keys.counts(space), span .. ' us', math.floor(math.max(0, seconds) * 1000000))
end

-- The spans of a task that a worker had: `run` has the seconds of its run, if it had one, and of the swap before it.
local function observe_spans(space, queued, started, now, run)
  observe(space, 'wait', started - queued)
  if not run.seconds then return end
  observe(space, 'swap', run.swap)
  observe(space, 'run', run.seconds)
  observe(space, 'overhead', now - started - run.swap - run.seconds)
end

-- Count a task that ends, and remember it: `facts` has the fields of `counters/history.py::Facts`.
local function record_end(space, state, event, facts, queued, started, now, run, trace)
  if run and started then observe_spans(space, queued, started, now, run) end
  if run and run.stopped then count_task(space, 'stopped ' .. run.stopped) end
  count_task(space, 'ended ' .. state)
  local said = (state == 'succeeded' or #event > HISTORY_BYTES) and '' or event
  redis.call('XADD', keys.history(), 'MAXLEN', '~', HISTORY, '*', 't', cmsgpack.pack(facts), 'e', said,
    unpack(trace and { 'x', trace } or {}))
  redis.call('EXPIRE', keys.history(), COUNTED)
end
