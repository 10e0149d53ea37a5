"""Step 3, split into the broker's time and the store's."""
import http.client, statistics, struct, zlib

from load import percentile
from report import table
from servers import SLIP_REQUEST

BOUNDARY = "benchmark-form"
EACH_ROUND = {1: 100, 16: 200}
COLUMNS = ["connections", "contestant", "PATCH/s", "p50 ms", "p99 ms", "store ms (p50)", "broker ms (p50)", "broker ms (p99)", "S3 requests", "CPU µs, broker", "CPU µs, store"]


def picture(size):
    """A PNG's first bytes, as the broker looks at them, and zeros."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))).ljust(size, b"\0")


def uploaded(broker, store, count):
    """Steps 1 and 2 of so many files; their numbers."""
    ids, file = [], picture(SLIP_REQUEST["size"])
    connection = http.client.HTTPConnection(*store.endpoint.split(":"), timeout=30)
    for _ in range(count):
        slip = broker.slip()[1]
        fields = "".join(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in slip["params"].items())
        last = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\n'
        body = (fields + last).encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()
        connection.request("POST", "/dropslip/", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"step 2: {answer.status} {text[:500]!r}")
        ids.append(slip["file"]["id"])
    return ids


def measured(bench, timer, broker, store, connections, ids):
    """One job: microseconds of each confirmation, of it at the store, requests to it; and what all cost."""
    before = broker.cpu_seconds(), store.cpu_seconds()
    with bench.neighbours:
        timer.process.stdin.write(f"{broker.address} {connections} {broker.token} {' '.join(map(str, ids))}\n")
        timer.process.stdin.flush()
        line = timer.process.stdout.readline().split()
    if len(line) != len(ids) + 1:
        raise RuntimeError(f"{broker.name}: not all were confirmed:\n{(timer.folder / 'log').read_text()[-2000:]}")
    after = broker.cpu_seconds(), store.cpu_seconds()
    cpu = [(now - then) / len(ids) * 1e6 for now, then in zip(after, before)]
    return {"us": int(line[0]), "each": [tuple(map(int, one.split(":"))) for one in line[1:]], "cpu": cpu}


def timer_of(stage):
    return stage.started("confirm", [stage.binaries / "examples" / "confirm", stage.store.endpoint], None, stage.scratch / "confirm")


def active(bench, brokers, count):
    """So many active files by name of each broker: their numbers."""
    timer, found = timer_of(bench.stage), {}
    for name, broker in brokers.items():
        found[name] = uploaded(broker, bench.stage.store, count)
        measured(bench, timer, broker, bench.stage.store, 16, found[name])
    bench.stage.end(timer)
    return found


def confirm(bench):
    stage, store = bench.stage, bench.stage.store
    timer = timer_of(stage)
    to_store = {"endpoint": timer.address, "S3_PUBLIC_ENDPOINT": f"http://{store.endpoint}"}
    brokers = {"SQLite": stage.sqlite("sqlite-confirm", **to_store), "Postgres": stage.on_postgres("postgres-confirm", stage.postgres, **to_store)}
    floor = stage.floor(brokers["SQLite"].slip()[2])
    jobs = {(connections, name): [] for connections in EACH_ROUND for name in brokers}
    for _ in range(bench.rounds):
        for connections, name in jobs:
            count = max(connections, EACH_ROUND[connections] * bench.seconds // 3)
            ids = uploaded(brokers[name], store, count)
            jobs[connections, name].append(measured(bench, timer, brokers[name], store, connections, ids))
    floor.token = "none"
    bare = percentile([total for total, _, _ in measured(bench, timer, floor, store, 1, range(1000))["each"]], 0.5)
    lines = []
    for (connections, name), found in jobs.items():
        totals = [total / 1000 for job in found for total, _, _ in job["each"]]
        rate = statistics.median(len(job["each"]) / job["us"] * 1e6 for job in found)
        cpu = [statistics.median(job["cpu"][index] for job in found) for index in (0, 1)]
        split = ["", "", "", ""]
        if connections == 1:
            own = [(total - waited) / 1000 for job in found for total, waited, _ in job["each"]]
            waited = [waited / 1000 for job in found for _, waited, _ in job["each"]]
            bench.figures.setdefault("confirm_ms", {})[name] = percentile(own, 0.5)
            requests = statistics.median(count for job in found for _, _, count in job["each"])
            split = [f"{percentile(waited, 0.5):.2f}", f"{percentile(own, 0.5):.2f}", f"{percentile(own, 0.99):.2f}", f"{requests:.0f}"]
        lines.append([connections, name, f"{rate:,.0f}", f"{percentile(totals, 0.5):.2f}", f"{percentile(totals, 0.99):.2f}", *split, *(f"{one:.0f}" for one in cpu)])
    stage.end(floor, timer, *brokers.values())
    return table(COLUMNS, lines) + f"""

Files of {SLIP_REQUEST['size']:,} bytes that were uploaded before. The store is the embedded one, in a process of its own behind a proxy that notes when requests are on their way
([`bench/confirm.rs`](bench/confirm.rs)): its time is that during which at least one was, the broker's is the rest, with the way through the proxy and the client's. The same client needs
{bare / 1000:.2f} ms for a request to the floor. With more connections than one, requests cannot be told apart."""
