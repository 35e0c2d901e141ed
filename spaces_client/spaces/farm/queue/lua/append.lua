-- Write events of a running task, if its lease is still valid. A batch that was written before is not written again.
--
-- KEYS  1 the task
-- ARGV  1 id  2 worker  3 attempt  4 number of the batch, from 1; 0: not numbered  5.. events
-- Returns the credits that the reader has given since the last call; -1 if the lease is lost

local id, attempt, batch = ARGV[1], ARGV[3], tonumber(ARGV[4])
local held, reader = holds(id, ARGV[2], attempt)
if not held then return -1 end

-- Each event is an entry of the stream. A reader that takes several in one message gets them as a list of msgpack.
local function write_together()
  local entry
  for number = 5, #ARGV do entry = note(id, ARGV[number], attempt) end
  local count = #ARGV - 4
  publish(id, entry, attempt, string.char(0xdc, math.floor(count / 256), count % 256) .. table.concat(ARGV, '', 5), reader)
end

if batch == 0 or batch > tonumber(redis.call('HGET', KEYS[1], 'batch')) then
  if #ARGV > 5 and reader:sub(-1) == TAKES_SEVERAL then
    write_together()
  else
    for number = 5, #ARGV do write(id, ARGV[number], attempt, reader) end
  end
  redis.call('EXPIRE', keys.events(id), WAITING)
  if batch > 0 then redis.call('HSET', KEYS[1], 'batch', batch) end
end

local credits = redis.call('LLEN', keys.credit(id))
if credits > 0 then redis.call('DEL', keys.credit(id)) end
return credits
