#!/usr/bin/env python3
"""Measures what one tenant's lists take while an actor of another abandons searches as fast as it can, and writes BENCHMARKS.md.

  make fairness

From the environment:

  FAIRNESS_FILES                       active files of each of the two tenants, about (300000)
  FAIRNESS_SECONDS, FAIRNESS_ROUNDS    how long a load is, and how often each has its turn (5, 6)
  FAIRNESS_CONNECTIONS                 on which searches are abandoned (8)
  FAIRNESS_ENGINES                     sqlite,postgres
  FAIRNESS_PROFILE                     release; or debug, to try this program
  FAIRNESS_OUT                         the file to write into; without it, BENCHMARKS.md if all of it ran in release
"""
import asyncio, http.client, multiprocessing, os, pathlib, shutil, sqlite3, sys, tempfile, time

os.environ.setdefault("TEST_POSTGRES_NO_FSYNC_URL", os.environ.get("TEST_POSTGRES_URL", ""))
os.environ.setdefault("TEST_POSTGRES_NO_FSYNC_PID", os.environ.get("TEST_POSTGRES_PID", ""))

import fill
from load import percentile
from machine import ROOT, Neighbours, header
from report import table
from servers import Stage

BEGIN, END = "<!-- fairness:begin -->", "<!-- fairness:end -->"
# Of those that fill.py makes, the share that is active.
ACTIVE = 0.8
ABANDONED_AFTER = 0.05
MOST = 3.0
# Nobody has that in a name: each search looks at every file of its tenant.
SEARCH = "/v2/files.json?q=nowhere-{}&orderBy=filename"
LISTS = {
    "default": "/v2/files.json",
    "newest by `createdAt`": "/v2/files.json?orderBy=createdAt&orderMode=desc",
    "search through all": "/v2/files.json?q=nowhere&skipAggregation=true",
}


def abandon(address, token, connections, stop, begun):
    """Asks for searches and hangs up, until told to stop."""
    host, port = address.split(":")

    async def one(number):
        while not stop.is_set():
            number += connections
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {SEARCH.format(number)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            with begun.get_lock():
                begun.value += 1
            try:
                await asyncio.wait_for(reader.read(1), ABANDONED_AFTER)
            except (asyncio.TimeoutError, ConnectionError):
                pass
            writer.transport.abort()

    async def all_of_them():
        await asyncio.gather(*map(one, range(connections)))

    asyncio.run(all_of_them())


def asked(broker, path, token, seconds):
    """How long each answer took, in ms, one request after the other on one connection."""
    host, port = broker.address.split(":")
    connection, took = http.client.HTTPConnection(host, int(port), timeout=30), []
    until = time.monotonic() + seconds
    while time.monotonic() < until or not took:
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{broker.name}: {path}: {answer.status} {body[:300]!r}")
    connection.close()
    return took


class Fairness:
    def __init__(self):
        option = lambda name, default: os.environ.get(f"FAIRNESS_{name}") or default
        self.files, self.seconds, self.rounds = int(option("FILES", 300_000)), float(option("SECONDS", 5)), int(option("ROUNDS", 6))
        self.connections, self.profile = int(option("CONNECTIONS", 8)), option("PROFILE", "release")
        known = {"sqlite": "SQLite", "postgres": "Postgres"}
        self.engines = [known[name] for name in option("ENGINES", "sqlite,postgres").split(",")]
        whole = self.profile == "release" and set(self.engines) == set(known.values())
        self.out = option("OUT", ROOT / "BENCHMARKS.md" if whole else None)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="dropslip-fairness-"))
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.stage = Stage(self.scratch, target / self.profile, {})
        self.neighbours = Neighbours([self.stage.postgres.pid])

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def database(self, engine):
        """The URL of a database with as many files of `t0` as of `t1`, and a token for each."""
        url = f"sqlite:{self.scratch}/lists.db" if engine == "SQLite" else self.stage.postgres.database("fairness")
        environment = self.stage.broker_environment(f"{engine}-once", url)
        pathlib.Path(environment["DROPSLIP_DATA_DIR"]).mkdir()
        tokens = [self.stage.token(environment, user=1, tenant=f"t{number}") for number in range(2)]
        fill.fill(url, int(2 * self.files / ACTIVE), 1, quiet=True)
        halved = "UPDATE files SET tenant = 't' || (id % 2)"
        if engine == "SQLite":
            database = sqlite3.connect(url.removeprefix("sqlite:"), isolation_level=None)
            for statement in (halved, "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"):
                database.execute(statement).fetchall()
            database.close()
        else:
            fill.psql(url, halved)
            fill.psql(url, "VACUUM ANALYZE files")
            fill.psql(url, "CHECKPOINT")
        return url, tokens

    def measured(self, engine):
        """By list, the times of all rounds without and with the abandoned searches; and how many were abandoned a second."""
        url, (greedy, other) = self.database(engine)
        broker = self.stage.broker(f"lists-{engine.lower()}", url, None if engine == "SQLite" else self.stage.postgres, SWEEP_INTERVAL="0")
        found = {name: ([], []) for name in LISTS}
        begun, took = multiprocessing.Value("q", 0), 0
        for path in LISTS.values():
            asked(broker, path, other, 1)
        for number in range(self.rounds):
            for name, path in LISTS.items():
                with self.neighbours:
                    found[name][0].extend(asked(broker, path, other, self.seconds))
                stop = multiprocessing.Event()
                hangs_up = multiprocessing.Process(target=abandon, args=(broker.address, greedy, self.connections, stop, begun))
                hangs_up.start()
                # It is at it for a while before anybody looks.
                time.sleep(1)
                with self.neighbours:
                    found[name][1].extend(asked(broker, path, other, self.seconds))
                stop.set()
                hangs_up.join()
                took += 1 + self.seconds
                time.sleep(0.5)
            self.say(f"{engine}: round {number + 1}")
        self.stage.end(broker)
        return found, begun.value / took

    def run(self):
        lines, notes, began = [], [], time.monotonic()
        for engine in self.engines:
            found, rate = self.measured(engine)
            for name, (alone, disturbed) in found.items():
                ratio = percentile(disturbed, 0.99) / percentile(alone, 0.99)
                figures = [f"{percentile(times, share):.2f}" for times in (alone, disturbed) for share in (0.5, 0.99)]
                lines.append([engine, name, f"{len(alone):,} and {len(disturbed):,}", *figures, f"{ratio:.2f}", "met" if ratio < MOST else "**missed**"])
            notes.append(f"{rate:.0f} a second on {engine}")
        command = " ".join([*(f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith("FAIRNESS_") and key != "FAIRNESS_OUT" and value), "make fairness"])
        facts = header(self.stage, self.neighbours, command)
        facts += (f"\n- Files: about {self.files:,} active ones of each of two tenants"
                  f"\n- Abandoned searches: of one actor of one tenant, on {self.connections} connections, each hung up on after {ABANDONED_AFTER * 1000:.0f} ms and asked for anew; {', '.join(notes)}"
                  f"\n- Lists: of the other tenant, one after the other on one connection, {self.rounds} rounds of {self.seconds:.0f} s without and with the abandoned searches; "
                  f"all were answered with 200; {(time.monotonic() - began) / 60:.0f} minutes in all")
        columns = ["database", "list", "answers", "p50 ms alone", "p99 ms alone", "p50 ms beside them", "p99 ms beside them", "p99 by p99", f"below {MOST:.0f}"]
        text = "\n\n".join([facts, table(columns, lines)])
        print(text)
        if self.out:
            out = pathlib.Path(self.out)
            document = out.read_text()
            if document.count(BEGIN) != 1 or document.count(END) != 1:
                raise ValueError(f"there is not one place between {BEGIN} and {END}")
            out.write_text(f"{document.partition(BEGIN)[0]}{BEGIN}\n{text.strip()}\n{END}{document.partition(END)[2]}")
            self.say(f"\nwritten into {out}")


def main():
    fairness = Fairness()
    try:
        fairness.run()
    finally:
        fairness.stage.end()
        shutil.rmtree(fairness.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
