-- The GPU seconds of visitors: admitting a task reserves its expected seconds, its end charges the seconds it held.
-- Prefixed to lib.lua, whose `finish` settles, so that ending and settling are one step.

-- The current ledger of a visitor: seconds used in the current day and its start, nothing if no day has begun; and the
-- usage that counts in the rank, which halves every half-life.
local function usage_of(visitor, half_life, now)
  local stored = redis.call('HMGET', keys.usage(visitor), 'used', 'since', 'decayed', 'at')
  local since = stored[2] and tonumber(stored[2])
  local used = tonumber(stored[1] or 0)
  if since and since + DAY <= now then since, used = nil, 0 end
  local age = math.max(0, now - tonumber(stored[4] or now))
  return { used = used, since = since, decayed = tonumber(stored[3] or 0) * 0.5 ^ (age / half_life) }
end

local function reserved_by(visitor)
  local sum = 0
  for _, seconds in ipairs(redis.call('HVALS', keys.reserved(visitor))) do sum = sum + tonumber(seconds) end
  return sum
end

-- A task whose lifetime is over never ends; free its reserved seconds.
local function forget_vanished(visitor)
  for _, id in ipairs(redis.call('HKEYS', keys.reserved(visitor))) do
    if redis.call('EXISTS', keys.task(id)) == 0 then redis.call('HDEL', keys.reserved(visitor), id) end
  end
end

local function keep(visitor, usage, half_life, now)
  local name = keys.usage(visitor)
  redis.call('HSET', name, 'used', usage.used, 'decayed', usage.decayed, 'at', now)
  if usage.since then
    redis.call('HSET', name, 'since', usage.since)
  else
    redis.call('HDEL', name, 'since')
  end
  redis.call('EXPIRE', name, math.ceil(DAY + 10 * half_life))
end

-- Check whether a visitor may use so many more seconds. Returns nothing, or the exceeded limit, the requested seconds,
-- the seconds allowed or left, and the seconds until more are available.
local function over_quota(terms, requested, now)
  local visitor = terms.visitor
  if terms.longest >= 0 and terms.asked > terms.longest then return { 'longest', terms.asked, terms.longest, 0 } end
  if terms.daily >= 0 then
    if requested > terms.daily then return { 'daily', requested, terms.daily, 0 } end
    local usage = usage_of(visitor, terms.half_life, now)
    local unused = math.max(0, terms.daily - usage.used)
    local left = math.max(0, unused - reserved_by(visitor))
    local wait = usage.since and usage.since + DAY - now or 0
    if requested > unused then return { 'used', requested, left, wait } end
    if requested > left then return { 'reserved', requested, left, wait } end
  end
  local tasks = redis.call('HLEN', keys.reserved(visitor))
  if terms.parallel >= 0 and tasks >= terms.parallel then return { 'parallel', 1, tasks, 0 } end
end

-- Reserve the expected seconds of a new task. Returns the seconds that its visitor's usage adds to its score; or
-- nothing and the reason of the refusal, as texts.
local function admit(id, packed, expected, now)
  if packed == '' then return 0 end
  local terms = cmsgpack.unpack(packed)
  local visitor, requested = terms.visitor, expected * terms.rate
  local why = over_quota(terms, requested, now)
  if why then
    forget_vanished(visitor)
    why = over_quota(terms, requested, now)
  end
  if why then
    for place, fact in ipairs(why) do why[place] = tostring(fact) end
    return nil, why
  end
  local usage = usage_of(visitor, terms.half_life, now)
  usage.since = usage.since or now
  keep(visitor, usage, terms.half_life, now)
  redis.call('HSET', keys.usage(visitor), 'tier', terms.tier, 'daily', terms.daily)
  redis.call('HSET', keys.reserved(visitor), id, requested)
  redis.call('EXPIRE', keys.reserved(visitor), WAITING)
  redis.call('HSET', keys.task(id), 'visitor', visitor, 'reserved', requested, 'rate', terms.rate,
    'half_life', terms.half_life)
  return terms.weight * usage.decayed
end

-- Free the reserved seconds of a task, and charge its visitor for the seconds that its function held a GPU.
local function settle(id, visitor, rate, half_life, seconds, now)
  local name, held = keys.task(id), seconds * rate
  redis.call('HDEL', name, 'reserved')
  redis.call('HDEL', keys.reserved(visitor), id)
  redis.call('HSET', name, 'charged', held)
  if held == 0 then return end
  local usage = usage_of(visitor, half_life, now)
  usage.since, usage.used, usage.decayed = usage.since or now, usage.used + held, usage.decayed + held
  keep(visitor, usage, half_life, now)
end
