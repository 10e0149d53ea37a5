"""Load by wrk, contestants in turns, medians of the rounds."""
import json, re, resource, statistics, subprocess

SCRIPT = """
local specs = {%s}
local requests, turn = {}, 0
function init()
  for i, s in ipairs(specs) do
    requests[i] = wrk.format(s[1], s[2], {["Host"] = wrk.headers["Host"], ["Authorization"] = s[3], ["Content-Type"] = "application/json"}, s[4])
  end
end
if #specs > 1 then
  function request() turn = turn %% #requests + 1; return requests[turn] end
else
  wrk.method, wrk.path, wrk.body = specs[1][1], specs[1][2], specs[1][4]
  wrk.headers["Authorization"], wrk.headers["Content-Type"] = specs[1][3], "application/json"
end
function done(summary, latency)
  local e = summary.errors
  print(string.format('RESULT {"requests": %%d, "us": %%d, "errors": %%d, "p50": %%f, "p99": %%f}', summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


class Load:
    """What one contestant is asked in turns: (method, path, token, body) each."""

    def __init__(self, server, requests, name=None, records=False):
        self.server, self.requests, self.name, self.records = server, requests, name or server.name, records

    def run(self, connections, seconds, scratch):
        script = scratch / "wrk.lua"
        script.write_text(SCRIPT % ",".join("{" + ",".join(map(lua, request)) + "}" for request in self.requests))
        self.server.forget_peak()
        first = self.server.slip()[1]["file"]["id"] if self.records else None
        cpu, wrk_cpu = self.server.cpu_seconds(), children_seconds()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", script, f"http://{self.server.address}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        cpu, wrk_cpu = self.server.cpu_seconds() - cpu, children_seconds() - wrk_cpu
        result = re.search(r"RESULT (.*)", done.stdout)
        result = json.loads(result.group(1)) if result else {"errors": 1, "requests": 0}
        if result["errors"] or not result["requests"]:
            raise RuntimeError(f"{self.name}: not every request was answered well at {connections} connections:\n{done.stdout}{done.stderr}")
        if self.records and self.server.slip()[1]["file"]["id"] - first < result["requests"]:
            raise RuntimeError(f"{self.name}: fewer records than answers")
        return {
            "rate": result["requests"] / result["us"] * 1e6, "p50": result["p50"], "p99": result["p99"],
            "cpu": cpu / result["requests"] * 1e6, "peak_mb": self.server.memory_mb("VmHWM"), "wrk": wrk_cpu / result["us"] * 1e6,
        }


def lua(value):
    """A Lua literal: JSON writes plain ASCII the same way."""
    return "nil" if value is None else json.dumps(value)


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def percentile(values, share):
    """The value below which that share lies: 0.5 is the median."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def in_turns(loads, rounds, connections, seconds, scratch, neighbours, between=lambda: None):
    """A B C, A B C, ...: medians by name, with `spread`, the distance of the fastest round from the slowest by the median."""
    results = {load.name: [] for load in loads}
    for load in loads:
        load.run(connections, 1, scratch)
    for _ in range(rounds):
        between()
        for load in loads:
            with neighbours:
                results[load.name].append(load.run(connections, seconds, scratch))
    return {name: medians(found) for name, found in results.items()}


def medians(found):
    middle = {key: statistics.median(one[key] for one in found) for key in found[0]}
    rates = [one["rate"] for one in found]
    return middle | {"peak_mb": max(one["peak_mb"] for one in found), "spread": (max(rates) - min(rates)) / middle["rate"]}
