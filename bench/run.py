#!/usr/bin/env python3
"""Slips a second against a floor measured in the same run; prints a table (Markdown).

  bench/run.py [--seconds N] [--rounds N] [--connections 1,16,64,256]

Contestants take turns (A B C, A B C, ...), so that what else the machine does hits all of them; figures are medians of the
rounds. CPU is user + system time of the contestant's processes per answered request. Needs wrk, and for Postgres the
TEST_POSTGRES_URL of localstack/with-servers.sh; `make bench` arranges both.
"""
import argparse, os, pathlib, re, shutil, signal, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
TICKS = os.sysconf("SC_CLK_TCK")
LUA = """
wrk.method = "POST"
wrk.body = '{"type":"attachment","filename":"photo.png","mimeType":"image/png","disposition":"attachment","size":14358}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN")
local failed = 0
function response(status) if status ~= 201 then failed = failed + 1; print("status " .. status) end end
"""


class Contestant:
    """A server under load: its base URL, and the processes whose CPU counts."""

    def __init__(self, name, command, environment, folder, postgres=None):
        self.name, self.folder, self.postgres = name, folder, postgres
        self.token, self.started = "none", time.monotonic()
        log = open(folder / "log", "w")
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        address = re.search(r"(\d+\.\d+\.\d+\.\d+:\d+)", line)
        if not address:
            sys.exit(f"{name} did not start: {line}{(folder / 'log').read_text()}")
        self.base = f"http://{address.group(1)}"

    def cpu_seconds(self):
        pids = [self.process.pid]
        if self.postgres:
            children = subprocess.run(["pgrep", "-P", str(self.postgres)], capture_output=True, text=True).stdout.split()
            pids += [self.postgres, *map(int, children)]
        total = 0
        for pid in pids:
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                # Backends that end hand their time to the postmaster: fields 15 and 16 are those of its children.
                total += sum(int(field) for field in fields[11:15 if pid == self.postgres else 13])
            except (FileNotFoundError, IndexError):
                pass
        return total / TICKS

    def memory_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1000

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def load(contestant, connections, seconds, script):
    before = contestant.cpu_seconds()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, contestant.base + "/v2/files/ref.json"]
    printed = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"BENCH_TOKEN": contestant.token}).stdout
    after = contestant.cpu_seconds()
    if "Non-2xx" in printed or "status " in printed or "Socket errors" in printed:
        sys.exit(f"{contestant.name} did not answer every request with 201:\n{printed[-2000:]}")
    requests = int(re.search(r"(\d+) requests in", printed).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed).group(1))
    units = {"us": 1, "ms": 1000, "s": 1e6}
    latency = {p: float(v) * units[u] for p, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", printed)}
    return {"rate": rate, "p50": latency["50"], "p99": latency["99"], "cpu": (after - before) / requests * 1e6}


def dropslip(name, database_url, scratch, folder, **more):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DROPSLIP_", "TEST_"))}
    settings = {
        "LISTEN": "127.0.0.1:0", "EMBEDDED_S3_LISTEN": "127.0.0.1:0", "DATA_DIR": str(folder), "DATABASE_URL": database_url,
        "ACTOR_OPEN_SLIPS": "0", "TENANT_OPEN_SLIPS": "0", "SWEEP_INTERVAL": "0", "LOG": os.environ.get("BENCH_LOG", "info"), "LOG_FORMAT": "json",
    }
    environment |= {f"DROPSLIP_{key}": value for key, value in settings.items()}
    create = [RELEASE / "dropslip", "token", "create", "--user", "1"]
    made = subprocess.run(create, env=environment, cwd=folder, capture_output=True, text=True)
    token = re.search(r"dslip_\w+", made.stdout + made.stderr)
    if not token:
        sys.exit(f"no token: {made.stdout}{made.stderr}")
    contestant = Contestant(name, [RELEASE / "dropslip", "serve"], environment, folder, **more)
    contestant.token = token.group(0)
    return contestant


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", default="1,16,64,256")
    options = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="dropslip-bench-"))
    memory = pathlib.Path(tempfile.mkdtemp(prefix="dropslip-bench-", dir="/dev/shm"))
    script = scratch / "ref.lua"
    script.write_text(LUA)
    contestants = []
    try:
        (scratch / "floor").mkdir()
        contestants.append(Contestant("floor", [RELEASE / "examples" / "floor"], dict(os.environ), scratch / "floor"))
        (scratch / "sqlite").mkdir()
        contestants.append(dropslip("SQLite", f"sqlite:{scratch}/sqlite/bench.db", scratch, scratch / "sqlite"))
        contestants.append(dropslip("SQLite, no disk", f"sqlite:{memory}/bench.db", scratch, memory))
        if "TEST_POSTGRES_URL" in os.environ:
            (scratch / "postgres").mkdir()
            postgres = subprocess.run(["pgrep", "-n", "-f", "bin/postgres -D"], capture_output=True, text=True).stdout.split()
            contestants.append(dropslip("Postgres", os.environ["TEST_POSTGRES_URL"], scratch, scratch / "postgres", postgres=int(postgres[0])))
        print(f"Idle memory: " + ", ".join(f"{c.name} {c.memory_mb():.1f} MB" for c in contestants))
        print()
        print("| connections | contestant | requests/s | share of floor | p50 ms | p99 ms | CPU us/request | share of floor | memory MB |")
        print("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
        for connections in map(int, options.connections.split(",")):
            results = {contestant.name: [] for contestant in contestants}
            for _ in range(options.rounds):
                for contestant in contestants:
                    results[contestant.name].append(load(contestant, connections, options.seconds, script))
            median = {name: {key: statistics.median(r[key] for r in rounds) for key in rounds[0]} for name, rounds in results.items()}
            floor = median["floor"]
            for contestant in contestants:
                m = median[contestant.name]
                print(
                    f"| {connections} | {contestant.name} | {m['rate']:,.0f} | {m['rate'] / floor['rate']:.2f} | {m['p50'] / 1000:.2f} | {m['p99'] / 1000:.2f} "
                    f"| {m['cpu']:.1f} | {m['cpu'] / floor['cpu']:.1f} | {contestant.memory_mb():.0f} |", flush=True)
    finally:
        for contestant in contestants:
            contestant.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(memory, ignore_errors=True)


if __name__ == "__main__":
    main()
