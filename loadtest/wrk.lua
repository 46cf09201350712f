-- What wrk asks: the requests a file lists, in order and round again, every thread from a place of its own.
-- Written for wrk 4: nothing here is counted or judged, that is loadtest/wrk.py's. Arguments: the file, and after how
-- many requests of a thread one says "Connection: close" (0: never, as where there are POSTs), and from which number
-- fresh names are drawn.
--
-- The file: lines "H <head>" with the headers of a kind of client, numbered from 1, "\n" standing for a line's end;
-- lines "<number of the head> <path>", where a path that ends with "*" gets another name each time; and lines
-- "P <number of the head> <path> <body>", a POST in whose body each "{fresh}" becomes that name.

local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

local requests, fresh, heads = {}, {}, {}
local at, turn, drawn, closing_after = 0, 0, 0, 0

-- Of one length however far it was drawn, and another in each thread.
local function name()
   return string.format("%d-%012d", number, drawn)
end

function init(args)
   for line in io.lines(args[1]) do
      local kind, rest = line:match("^(%S+) (.*)$")
      if kind == "H" then
         heads[#heads + 1] = rest:gsub("\\n", "\r\n")
      elseif kind == "P" then
         local head, path, body = rest:match("^(%d+) (%S+) (.*)$")
         local pieces = {}
         for piece in (body .. "{fresh}"):gmatch("(.-){fresh}") do
            pieces[#pieces + 1] = piece
         end
         local length = #table.concat(pieces) + (#pieces - 1) * #name()
         pieces[1] = "POST " .. path .. " HTTP/1.1\r\n" .. heads[tonumber(head)] ..
            "Content-Length: " .. length .. "\r\n\r\n" .. pieces[1]
         fresh[#requests + 1] = pieces
         requests[#requests + 1] = false
      else
         local head = " HTTP/1.1\r\n" .. heads[tonumber(kind)]
         if rest:sub(-1) == "*" then
            fresh[#requests + 1] = { "GET " .. rest:sub(1, -2), head .. "\r\n" }
            requests[#requests + 1] = false
         else
            requests[#requests + 1] = "GET " .. rest .. head .. "\r\n"
         end
      end
   end
   closing_after = tonumber(args[2])
   drawn = tonumber(args[3])
   at = math.floor(#requests * (number * 0.618034 % 1))
end

function request()
   at = at % #requests + 1
   local said = requests[at]
   if not said then
      drawn = drawn + 1
      said = table.concat(fresh[at], name())
   end
   turn = turn + 1
   if turn == closing_after then
      turn = 0
      return said:gsub("Connection: [^\r]*\r\n", ""):sub(1, -3) .. "Connection: close\r\n\r\n"
   end
   return said
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\nTOLD {"requests": %d, "microseconds": %d, "octets": %d, "statuses": %d, "lost": %d, "timeouts": %d, ' ..
      '"p50": %.1f, "p90": %.1f, "p99": %.1f}\n',
      summary.requests, summary.duration, summary.bytes, errors.status, errors.connect + errors.read + errors.write,
      errors.timeout, latency:percentile(50), latency:percentile(90), latency:percentile(99)))
end
