-- For wrk: post the files of a folder one after the other, and print what was measured as JSON.
--     wrk -t1 -c8 -d3s -s post.lua URL -- FOLDER CONTENT-TYPE COUNT

local requests, last = {}, 0

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = args[2]
  for index = 0, tonumber(args[3]) - 1 do
    local file = assert(io.open(args[1] .. "/" .. index .. ".body", "rb"))
    requests[#requests + 1] = wrk.format(nil, nil, nil, file:read("*a"))
    file:close()
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
