#!/usr/bin/env python3
"""Measures dropslip on a database with many files beside one with few, in one run, and writes BENCHMARKS.md. `make scale` arranges it.

From the environment:

  SCALE_FILES                    how many (10000000); a tenth of them has expired and waits for a sweep
  SCALE_SECONDS, SCALE_ROUNDS    how long a load is, and how often each has its turn (4, 5)
  SCALE_ENGINES                  sqlite,postgres
  SCALE_PROFILE                  release; or debug, to try this program
  SCALE_OUT                      the file to write into; without it, BENCHMARKS.md if all of it ran in release
"""
import base64, os, pathlib, random, shutil, sqlite3, statistics, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TEST_POSTGRES_NO_FSYNC_URL", os.environ.get("TEST_POSTGRES_URL", ""))
os.environ.setdefault("TEST_POSTGRES_NO_FSYNC_PID", os.environ.get("TEST_POSTGRES_PID", ""))

import fill
from load import Load, in_turns
from machine import ROOT, Neighbours, header
from report import table
from servers import TICKS, Stage, cpu_ticks
from slips import request
from sweeps import Log, part_of, rates

BEGIN, END = "<!-- scale:begin -->", "<!-- scale:end -->"
TENANTS = 1000
# As many as wait for each other on two processors, and twice as many as there are processors.
READERS, FEW_READERS = 16, 4
PAGE = 50
DESK = "the first ten pages by `createdAt` and page number, counted"
# Loads until a filled table is in order, at most.
MOST_SETTLING = 20
# A file is 0.5 to 0.7 KB in each of the databases; both are there at once, with what loads and sweeps write beside them.
BYTES_A_FILE = 2500

# Nobody comes back for anything here, so that a sweep asks the bucket about no file before it forgets it.
POLICY = """
name = "{name}"
title = "For the benchmark"
min_size = 1
max_size = "100 MiB"
dispositions = ["attachment"]
slip_lifetime = "5h"
sniff = "reject"
unconfirmed = "discard"
content_types = [{{ type = "image/png", extensions = ["png"] }}]
"""


class Engine:
    """One kind of database: a broker on a fresh one and one on a filled one."""

    def __init__(self, scale, name):
        self.scale, self.name, self.stage = scale, name, scale.stage
        self.postgres = None if name == "SQLite" else scale.stage.postgres
        self.few_url, self.url = self.database("few"), self.database("many")
        self.key = name.lower()

    def database(self, name):
        if self.postgres:
            return self.postgres.database(f"scale-{name}")
        return f"sqlite:{self.scale.scratch}/{name}.db"

    def fill(self):
        environment = self.stage.broker_environment("once", self.url)
        pathlib.Path(environment["DROPSLIP_DATA_DIR"]).mkdir(exist_ok=True)
        # This makes the tables too.
        self.reader = self.stage.token(environment, user=1, tenant="t0")
        self.filled_s = fill.fill(self.url, self.scale.files, TENANTS)
        self.ids = [int(row[0]) for row in self.ask("SELECT id FROM files WHERE tenant = 't0' AND state = 'active' ORDER BY -id")]

    def ask(self, sql):
        if self.postgres:
            return [line.split("|") for line in fill.psql(self.url, sql).splitlines()]
        database = sqlite3.connect(f"file:{self.url.removeprefix('sqlite:')}?mode=ro", uri=True)
        rows = database.execute(sql).fetchall()
        database.close()
        return rows

    def broker(self, name, url, **more):
        folder = self.stage.scratch / f"{self.key}-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        return self.stage.broker(f"{self.key}-{name}", url, self.postgres, **({"SWEEP_INTERVAL": "0", "POLICIES": str(self.scale.policies)} | more))

    def start(self):
        self.few, self.many = self.broker("few", self.few_url), self.broker("many", self.url)

    def expired(self):
        now = "now()" if self.postgres else str(int(time.time() * 1e6))
        return int(self.ask(f"SELECT COUNT(*) FROM files WHERE state = 'temp' AND expires_at < {now}")[0][0])


class Scale:
    def __init__(self):
        option = lambda name, default: os.environ.get(f"SCALE_{name}") or default
        self.files, self.seconds, self.rounds = int(option("FILES", 10_000_000)), int(option("SECONDS", 4)), int(option("ROUNDS", 5))
        self.profile = option("PROFILE", "release")
        known = {"sqlite": "SQLite", "postgres": "Postgres"}
        wanted = option("ENGINES", "sqlite,postgres").split(",")
        whole = self.profile == "release" and set(wanted) == set(known)
        self.out = option("OUT", ROOT / "BENCHMARKS.md" if whole else None)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="dropslip-scale-"))
        # The server that runs the statements of a fill must reach its own files only.
        if shutil.disk_usage(self.scratch).free < self.files * BYTES_A_FILE + 4e9:
            sys.exit(f"less than {(self.files * BYTES_A_FILE + 4e9) / 1e9:.0f} GB free in {self.scratch.parent}; TMPDIR names another place")
        self.policies = self.scratch / "policies"
        self.policies.mkdir()
        for name in ("attachment", "image"):
            (self.policies / f"{name}.toml").write_text(POLICY.format(name=name))
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.stage = Stage(self.scratch, target / self.profile, {})
        self.neighbours = Neighbours([self.stage.postgres.pid])
        self.engines = [Engine(self, known[name]) for name in wanted]
        self.verdicts = []

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def in_turns(self, loads, rounds, connections):
        return in_turns(loads, rounds, connections, self.seconds, self.scratch, self.neighbours)

    def target(self, what, wanted, value, met):
        self.verdicts.append([what, wanted, value, "met" if met else "**missed**"])

    # ---- sections ----

    def sizes(self):
        """Bytes on disk for each file."""
        lines = []
        for engine in self.engines:
            if engine.postgres:
                sizes = {name: int(size) for name, size in engine.ask(
                    "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relname LIKE 'files%' AND relkind IN ('r', 'i') ORDER BY 2 DESC")}
                whole = int(engine.ask("SELECT pg_total_relation_size('files')")[0][0])
            else:
                sizes = dict(engine.ask("SELECT name, pageno * (SELECT page_size FROM pragma_page_size) FROM dbstat WHERE aggregate = TRUE AND name LIKE 'files%' ORDER BY 2 DESC"))
                whole = pathlib.Path(engine.url.removeprefix("sqlite:")).stat().st_size
            indexes = ", ".join(f"`{name}` {size / self.files:.0f}" for name, size in sizes.items() if name != "files")
            lines.append([engine.name, f"{whole / 1e9:.2f}", f"{whole / self.files:.0f}", f"{sizes['files'] / self.files:.0f}", indexes, f"{engine.filled_s:.0f}"])
        return table(["database", "GB in all", "bytes a file", "of these the table", "and the indexes", "filled in s"], lines)

    def settle(self, engine, load):
        """Writes slips until a table that was filled in bulk has no odd gaps any more.

        Each of its pages ends with room for one slip or for none. A slip that takes such a room is alone in its page, and the log gets
        the page as a whole; a table that grew slip by slip has hardly any. They would slow the first rounds only, and those not alike.
        """
        images = lambda: int(engine.ask("SELECT wal_fpi FROM pg_stat_wal")[0][0])
        found = []
        for _ in range(MOST_SETTLING):
            before = images()
            rate = load.run(64, self.seconds, self.scratch)["rate"]
            # Postgres gathers these counts about once a second.
            time.sleep(1.5)
            found.append((rate, (images() - before) / (rate * self.seconds)))
            if found[-1][1] < 0.01:
                break
        # They changed every page. By now the fiftieth part of the table is new, and autovacuum would come within a minute: not in the middle of a load here.
        fill.psql(engine.url, "VACUUM ANALYZE files")
        told = ", ".join(f"{rate:,.0f} ({pages:.2f})" for rate, pages in found)
        return f"On the filled {engine.name}, loads one after the other before that, until the gaps that a fill in bulk leaves were taken; in brackets whole pages written to the log for each slip: {told}. Then a vacuum."

    def issuing(self):
        lines, notes = [], []
        for engine in self.engines:
            loads = [Load(engine.few, [request(engine.few.token)], "fresh", True), Load(engine.many, [request(engine.many.token)], "filled", True)]
            if engine.postgres:
                notes.append(self.settle(engine, loads[1]))
            figures = self.in_turns(loads, self.rounds, 64)
            share = figures["filled"]["rate"] / figures["fresh"]["rate"]
            self.target(f"`ref.json`, 64 connections, {engine.name}: filled by fresh", "at least 0.90", f"{share:.2f}", share >= 0.9)
            lines += [[engine.name, name, f"{m['rate']:,.0f}", f"{m['spread']:.0%}", f"{m['p50'] / 1000:.2f}", f"{m['p99'] / 1000:.2f}", f"{m['cpu']:.0f}"]
                      for name, m in figures.items()]
        return "\n\n".join([table(["database", "files", "requests/s", "spread", "p50 ms", "p99 ms", "CPU µs/request"], lines), *notes])

    def reads(self):
        """One file of the largest tenant, and pages of its list at the beginning, in the middle and at the end."""
        lines = []
        for engine in self.engines:
            ids, pages = engine.ids, len(engine.ids) // PAGE
            few = [engine.few.slip()[1]["file"]["id"] for _ in range(200)]
            one = lambda ids, token: [("GET", f"/v2/files/{id}.json", f"Bearer {token}", None) for id in ids]
            loads = [Load(engine.few, one(few, engine.few.token), "one file, fresh database"),
                     Load(engine.many, one(random.sample(ids, min(2000, len(ids))), engine.reader), "one file, of all of them")]
            places = {"first pages": 0, "pages in the middle": pages // 2, "last pages": max(pages - 100, 0)}
            for name, first in places.items():
                wanted = range(max(first, 1), min(first + 100, pages))
                loads.append(Load(engine.many, [("GET", page(ids, number), f"Bearer {engine.reader}", None) for number in wanted], name))
                told = [file["id"] for file in engine.many.ask("GET", page(ids, wanted[0]), token=engine.reader)[1]["files"]]
                if told != ids[wanted[0] * PAGE:(wanted[0] + 1) * PAGE]:
                    raise RuntimeError(f"{engine.name}: the page after {wanted[0] * PAGE} files has others than it should")
            # As Desk's clients ask: in another order than ours, by page number, all files counted.
            asked = f"/v2/files.json?page={{}}&pageSize={PAGE}&orderBy=createdAt&orderMode=desc"
            loads.append(Load(engine.many, [("GET", asked.format(number), f"Bearer {engine.reader}", None) for number in range(1, 11)], DESK))
            for connections in (READERS, FEW_READERS):
                figures = self.in_turns(loads, min(self.rounds, 3), connections)
                for name, m in figures.items():
                    lines.append([engine.name, name, connections, f"{m['rate']:,.0f}", f"{m['p50'] / 1000:.2f}", f"{m['p99'] / 1000:.2f}"])
                worst = max(figures[name]["p99"] for name in places) / 1000
                self.target(f"p99 of list pages at any depth, {engine.name}, {connections} connections", "below 10 ms", f"{worst:.2f} ms", worst < 10)
                desk = figures[DESK]["p99"] / 1000
                self.target(f"p99 of {DESK}, {engine.name}, {connections} connections", "below 10 ms", f"{desk:.2f} ms", desk < 10)
            deep = figures["last pages"]["p50"] / figures["first pages"]["p50"]
            self.target(f"last pages by first pages, p50, {engine.name}", "flat", f"{deep:.2f}", deep < 1.25)
            one = figures["one file, of all of them"]["p50"] / figures["one file, fresh database"]["p50"]
            self.target(f"one of all files by one of few, p50, {engine.name}", "flat", f"{one:.2f}", one < 1.25)
        return table(["database", "what", "connections", "requests/s", "p50 ms", "p99 ms"], lines) + f"""

{" and ".join(f"{len(engine.ids):,} on {engine.name}" for engine in self.engines)} active files belong to the largest tenant; files are drawn from these by chance, and each list has a hundred different pages of {PAGE} in turns."""

    def starts(self):
        lines = []
        for engine in self.engines:
            for name, broker in (("fresh", engine.few), ("filled", engine.many)):
                self.stage.end(broker)
                seconds = []
                for _ in range(5):
                    began = time.perf_counter()
                    again = self.stage.started(broker.name, [self.stage.binaries / "dropslip", "serve"], broker.environment, broker.folder, engine.postgres)
                    seconds.append(time.perf_counter() - began)
                    self.stage.end(again)
                lines.append([engine.name, name, f"{statistics.median(seconds) * 1000:.0f}", f"{max(seconds) * 1000:.0f}"])
            self.target(f"start on the filled database, {engine.name}", "below 1 s", f"{statistics.median(seconds):.2f} s", statistics.median(seconds) < 1)
        return table(["database", "files", "listens after ms", "slowest ms"], lines)

    def sweeps(self):
        lines, notes = [], []
        for engine in self.engines:
            quiet, during, alone, busy = self.swept(engine)
            for part in ("records", "objects"):
                found = during.get(part)
                if not found:
                    raise RuntimeError(f"{engine.name}: no load saw {part} swept; more files make longer sweeps")
                p99, rate = (statistics.median(one[key] for one in found) for key in ("p99", "rate"))
                lines.append([engine.name, part, len(found), f"{quiet['p99'] / 1000:.2f}", f"{p99 / 1000:.2f}", f"{quiet['rate']:,.0f}", f"{rate:,.0f}"])
                self.target(f"p99 of `ref.json` while {part} are swept, {engine.name}, by that without a sweep", "at most 2", f"{p99 / quiet['p99']:.2f}", p99 <= 2 * quiet["p99"])
            told = {key: f"{alone[key]:,.0f}" for key in ("records", "keys", "database", "bucket")}
            notes.append(f"{engine.name}, nothing else going on: {told['records']} expired records a second read, forgotten and doomed; {told['keys']} doomed keys a second leased and struck off; "
                         f"**{told['database']}** a second for both, the database's part of a sweep. The bucket's part beside it: {told['bucket']} objects a second. "
                         f"Under the load: {busy.get('records', 0):,.0f} records a second.")
            self.target(f"a sweep's database part, {engine.name}", "at least 20,000/s", f"{told['database']}/s", alone["database"] >= 20_000)
        columns = ["database", "part of the sweep", "loads", "p99 ms without", "p99 ms during", "requests/s without", "requests/s during"]
        return table(columns, lines) + "\n\n" + "\n".join(f"- {note}" for note in notes) + """

A sweep first forgets expired records and dooms their keys, then deletes the objects of doomed keys, 1000 in a request. The store is an embedded one in a process of its own on the same
machine, and holds none of those objects. Loads are `ref.json` with 64 connections, medians of those before and after and of those during each part. On SQLite a sweep gives way
to whoever else writes."""

    def swept(self, engine):
        """What `ref.json` was like without a sweep and during each of its parts; what the sweep was like alone and under that load."""
        quiet, during = self.quiet(engine), {}
        # The first sweep begins with the broker.
        broker = engine.broker("swept", engine.url, SWEEP_INTERVAL="1h")
        log = Log(broker)
        self.loaded(broker, log, during, "records", 6)
        self.stage.end(broker)
        busy = rates(log)
        if engine.expired() < self.files // 20:
            fill.fill(engine.url, expired=self.files // 10, tenants=TENANTS)
        waiting = engine.expired()
        broker = engine.broker("swept", engine.url, SWEEP_INTERVAL="1h")
        log = Log(broker)
        log.wait(lambda log: log.deleted(), 300)
        # A part of the objects tells how fast they go, the rest is for the loads.
        log.wait(lambda log: sum(event["count"] for event in log.deleted()) > self.files // 100 or log.ended(), 15)
        alone = rates(log)
        if not log.ended():
            self.loaded(broker, log, during, "objects", 3)
        self.stage.end(broker)
        quiet += self.quiet(engine)
        p99s = lambda found: [round(one["p99"] / 1000, 1) for one in found]
        self.say(f"{engine.name}: {waiting:,} expired, alone {alone}; p99 without {p99s(quiet)}, during {({part: p99s(found) for part, found in during.items()})}")
        return {key: statistics.median(one[key] for one in quiet) for key in ("p99", "rate")}, during, alone, busy

    def quiet(self, engine):
        broker = engine.broker("quiet", engine.url)
        slips(broker).run(64, 1, self.scratch)
        found = [self.watched(slips(broker)) for _ in range(2)]
        self.stage.end(broker)
        return found

    def loaded(self, broker, log, during, part, times):
        """Loads while that part of a sweep runs, at most so many."""
        for _ in range(times):
            began = time.time()
            found = self.watched(slips(broker))
            if part_of(log, began, time.time()) == part:
                during.setdefault(part, []).append(found)
            if log.ended():
                break

    def watched(self, load):
        with self.neighbours:
            return load.run(64, self.seconds, self.scratch)

    def brokers(self):
        """One, two and four brokers on one Postgres."""
        engine = next((engine for engine in self.engines if engine.postgres), None)
        if not engine:
            return "Postgres was not asked for."
        url = self.stage.postgres.database("scale-brokers")
        servers = [engine.broker(f"broker{number}", url) for number in range(4)]
        results = {1: [], 2: [], 4: []}
        for _ in range(self.rounds):
            for count, found in results.items():
                with self.neighbours:
                    found.append(self.together(servers[:count]))
        self.stage.end(*servers)
        rate = lambda count: statistics.median(one["rate"] for one in results[count])
        lines = [[count, f"{rate(count):,.0f}", f"{rate(count) / rate(1):.2f}", f"{statistics.median(one['p99'] for one in found) / 1000:.2f}",
                  f"{statistics.median(one['brokers'] for one in found):.0f}", f"{statistics.median(one['postgres'] for one in found):.0f}"] for count, found in results.items()]
        return table(["brokers", "requests/s in all", "by one", "p99 ms, the slowest", "CPU µs/request, brokers", "and Postgres"], lines) + f"""

64 connections in all, shared out evenly, to a fresh database. Brokers, Postgres, the store and the load generators share {os.cpu_count()} processors, so that here it is their time that is
shared out and not work that is added."""

    def together(self, servers):
        folders = [self.scratch / f"wrk{number}" for number in range(len(servers))]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        spent = lambda: (sum(cpu_ticks(server.process.pid) for server in servers) / TICKS, self.stage.postgres.cpu_seconds())
        before = spent()
        with ThreadPoolExecutor(len(servers)) as pool:
            run = lambda server, folder: Load(server, [request(server.token)]).run(64 // len(servers), self.seconds, folder)
            found = list(pool.map(run, servers, folders))
        after, rate = spent(), sum(one["rate"] for one in found)
        brokers, postgres = ((late - early) / (rate * self.seconds) * 1e6 for late, early in zip(after, before))
        return {"rate": rate, "p99": max(one["p99"] for one in found), "brokers": brokers, "postgres": postgres}

    # ---- the whole ----

    def run(self):
        began, parts = time.monotonic(), []
        for engine in self.engines:
            self.say(f"== filling {engine.name} ({time.monotonic() - began:.0f} s)")
            engine.fill()
        sections = [("Bytes on disk", self.sizes), ("Slips a second", self.issuing), ("Reading", self.reads), ("Start", self.starts), ("Sweeping", self.sweeps),
                    ("Several brokers on one Postgres", self.brokers)]
        for title, section in sections:
            self.say(f"== {title} ({time.monotonic() - began:.0f} s)")
            if section == self.issuing:
                for engine in self.engines:
                    engine.start()
            parts.append(f"### {title}\n\n{section()}")
            self.say(parts[-1])
        command = " ".join([*(f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith("SCALE_") and key != "SCALE_OUT" and value), "make scale"])
        facts = header(self.stage, self.neighbours, command)
        facts += (f"\n- Files: {self.files:,} on each database: 80 % active, 15 % temp, 5 % deleted, of {TENANTS} tenants, the largest with a tenth of them"
                  f"\n- Loads: {self.rounds} rounds of {self.seconds} s, contestants in turns; {(time.monotonic() - began) / 60:.0f} minutes in all")
        text = "\n\n".join([facts, table(["target", "", "this run", ""], self.verdicts), *parts])
        print(text)
        if self.out:
            out = pathlib.Path(self.out)
            document = out.read_text()
            if document.count(BEGIN) != 1 or document.count(END) != 1:
                raise ValueError(f"there is not one place between {BEGIN} and {END}")
            out.write_text(f"{document.partition(BEGIN)[0]}{BEGIN}\n{text.strip()}\n{END}{document.partition(END)[2]}")
            self.say(f"\nwritten into {out}")


def slips(broker):
    return Load(broker, [request(broker.token)], broker.name, True)


def page(ids, number):
    """The path of the page after so many pages."""
    last = ids[number * PAGE - 1]
    cursor = base64.urlsafe_b64encode(bytes([1]) + last.to_bytes(8, "big")).decode()
    return f"/v2/files.json?pageSize={PAGE}&cursor={cursor}"


def main():
    scale = Scale()
    try:
        scale.run()
    finally:
        scale.stage.end()
        shutil.rmtree(scale.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
