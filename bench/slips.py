"""Step 1 under load: against the floor, without durability, and with many tenants in turns."""
import json
from concurrent.futures import ThreadPoolExecutor

from load import Load, in_turns
from report import table
from servers import SLIP_REQUEST

BODY = json.dumps(SLIP_REQUEST)
COLUMNS = ["connections", "contestant", "requests/s", "spread", "of the floor", "p50 ms", "p99 ms", "CPU µs/request", "by the floor's", "peak memory MB"]
EATMYDATA = "/usr/lib/*/libeatmydata.so"


def request(token):
    return ("POST", "/v2/files/ref.json", f"Bearer {token}", BODY)


def durable(bench):
    """Section 1; the figures of every contestant by number of connections."""
    stage = bench.stage
    sqlite, postgres = stage.sqlite("sqlite"), stage.on_postgres("postgres", stage.postgres)
    floor = stage.floor(sqlite.slip()[2])
    loads = [Load(floor, [request(sqlite.token)], "floor"),
             Load(sqlite, [request(sqlite.token)], "SQLite", True), Load(postgres, [request(postgres.token)], "Postgres", True)]
    figures = measured(bench, loads, bench.connections)
    bench.figures["slips"] = figures
    bench.figures["idle_mb"] = {"SQLite": sqlite.idle_mb, "Postgres": postgres.idle_mb, "floor": floor.idle_mb}
    middle, worst, count = bench.disk.figures()
    files = {server.name: server.slip()[1]["file"]["id"] for server in (sqlite, postgres)}
    busiest = max(by_name["floor"]["wrk"] for by_name in figures.values())
    text = rows(figures) + f"""

Each answer has {sqlite.slip()[2]} bytes, the floor's too. CPU is user and system time of the broker and, with Postgres, of that server with all its backends.
Memory is the broker's alone; before any load it was {sqlite.idle_mb:.1f} MB with SQLite, {postgres.idle_mb:.1f} MB with Postgres. One fsync (4 KiB appended, `fdatasync`, {count} times
between the rounds): median {middle / 1000:.2f} ms, p99 {worst / 1000:.2f} ms. wrk used at most {busiest:.0%} of a processor against the floor: at 100 % it is wrk that bounds that row.
In the end there were {files['sqlite']:,} files in SQLite and {files['postgres']:,} in Postgres, all `temp` and of one actor."""
    bench.figures["fsync_us"] = (middle, worst)
    stage.end(floor, sqlite, postgres)
    return text


def volatile(bench):
    """Section 2: the same statements on the same disk, with nothing waiting for it."""
    stage = bench.stage
    preload = bench.eatmydata
    sqlite = stage.sqlite("sqlite-no-fsync", preload=preload)
    postgres = stage.on_postgres("postgres-no-fsync", stage.postgres_no_fsync)
    floor = stage.floor(sqlite.slip()[2])
    loads = [Load(floor, [request(sqlite.token)], "floor"),
             Load(sqlite, [request(sqlite.token)], "SQLite, fsync ignored", True), Load(postgres, [request(postgres.token)], "Postgres, fsync off", True)]
    figures = measured(bench, loads, bench.connections)
    bench.figures["volatile"] = figures
    stage.end(floor, sqlite, postgres)
    return rows(figures) + f"""

Not for use: what was acknowledged is lost when the machine stops. SQLite runs with libeatmydata preloaded, so that `fsync` and `fdatasync` return at once: same code, same disk, same
files, unlike a database in `/dev/shm`, which would also save the writing. Postgres is a server of its own with `fsync=off`."""


def reserved(bench):
    """What a limit of reserved bytes costs, which is never reached: each slip counts its bytes in a transaction of its own."""
    stage, most = bench.stage, {"ACTOR_RESERVED_BYTES": "1000 PiB", "TENANT_RESERVED_BYTES": "1000 PiB"}
    servers = {"SQLite": stage.sqlite("sqlite-plain"), "SQLite, bytes limited": stage.sqlite("sqlite-reserved", **most),
               "Postgres": stage.on_postgres("postgres-plain", stage.postgres),
               "Postgres, bytes limited": stage.on_postgres("postgres-reserved", stage.postgres, **most)}
    floor = stage.floor(servers["SQLite"].slip()[2])
    token = servers["SQLite"].token
    loads = [Load(floor, [request(token)], "floor"), *(Load(server, [request(server.token)], name, True) for name, server in servers.items())]
    figures = measured(bench, loads, [1, bench.middle])
    bench.figures["reserved"] = figures
    stage.end(floor, *servers.values())
    return rows(figures) + "\n\nAll slips are of one actor, so that all count on the same rows."


def tenants(bench):
    """Tokens of many tenants take turns: nothing that is remembered for one caller helps the next."""
    stage, count = bench.stage, bench.tenants
    sqlite, postgres = stage.sqlite("sqlite-tenants"), stage.on_postgres("postgres-tenants", stage.postgres)

    def made(server):
        return [stage.token(server.environment, number, f"tenant-{number}") for number in range(1, count + 1)]

    with ThreadPoolExecutor(2) as pool:
        tokens = list(pool.map(made, (sqlite, postgres)))
    floor = stage.floor(sqlite.slip()[2])
    loads = [Load(server, [request(token) for token in some], name, name != "floor")
             for server, some, name in ((floor, tokens[0], "floor"), (sqlite, tokens[0], "SQLite"), (postgres, tokens[1], "Postgres"))]
    figures = measured(bench, loads, [bench.middle])
    bench.figures["tenants"] = figures
    stage.end(floor, sqlite, postgres)
    return rows(figures) + f"\n\n{count} tokens, each of a tenant of its own, in turns."


def measured(bench, loads, connections):
    figures = {}
    for number in connections:
        figures[number] = in_turns(loads, bench.rounds, number, bench.seconds, bench.stage.scratch, bench.neighbours, bench.disk.measure)
        bench.say(rows({number: figures[number]}))
    return figures


def rows(figures):
    return table(COLUMNS, figures_of(figures))


def figures_of(figures):
    lines = []
    for connections, by_name in figures.items():
        floor = by_name["floor"]
        for name, m in by_name.items():
            speed = [f"{m['rate']:,.0f}", f"{m['spread']:.0%}", f"{m['rate'] / floor['rate']:.3f}", f"{m['p50'] / 1000:.2f}", f"{m['p99'] / 1000:.2f}"]
            cost = [f"{m['cpu']:.1f}", f"{m['cpu'] / floor['cpu']:.1f}", f"{m['peak_mb']:.0f}"]
            lines.append([connections, name, *speed, *cost])
    return lines
