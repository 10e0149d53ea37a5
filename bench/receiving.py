"""Uploads through the broker: what they cost it in memory, how fast one is beside curl to the store, and what slips wait meanwhile.

The store is a process of its own, so the memory is the broker's alone."""
import http.client, json, os, statistics, subprocess, threading, time

from report import table
from servers import SLIP_REQUEST, run

ROUNDS = 3
AT_ONCE = 16


def receive(bench):
    stage, megabytes = bench.stage, bench.receive_mb
    broker = stage.sqlite(
        "sqlite-receiving", DIALECTS="desk,kayako", KAYAKO_FILE_TYPE="artifact", S3_METHOD="put",
        MAX_PROXIED_BYTES=str(megabytes << 20), KAYAKO_CONTENT_MAX="0")
    path = bench.scratch / "through.zip"
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for _ in range(megabytes):
            file.write(block)
    seconds = {"curl to the store": [], "through the broker": []}
    for _ in range(min(bench.rounds, ROUNDS)):
        for who, send in (("curl to the store", straight), ("through the broker", through)):
            os.sync()
            with bench.neighbours:
                seconds[who].append(send(broker, path))
            emptied(stage)
    ratio = statistics.median(seconds["curl to the store"]) / statistics.median(seconds["through the broker"])
    bench.figures["receive_ratio"] = ratio
    lines = [[who, f"{statistics.median(found):.2f}", f"{megabytes * 1.048576 / statistics.median(found):,.0f}"] for who, found in seconds.items()]
    text = table(["one upload", "seconds", "MB/s"], lines)

    asking = Asking(broker)
    asking.during(max(bench.seconds, 5))
    alone = asking.taken()
    broker.forget_peak()
    before = broker.memory_mb()
    began, stop = time.perf_counter(), threading.Event()
    loop = threading.Thread(target=asking.until, args=(stop,))
    loop.start()
    with bench.neighbours:
        uploads = [subprocess.Popen(curl(broker, path), stdout=subprocess.PIPE, text=True) for _ in range(AT_ONCE)]
        statuses = [upload.communicate()[0] for upload in uploads]
    took = time.perf_counter() - began
    stop.set()
    loop.join()
    meanwhile, peak = asking.taken(), broker.memory_mb("VmHWM")
    if set(statuses) != {"201"}:
        raise RuntimeError(f"uploads through the broker were answered with {statuses}")
    bench.figures["receive_peak_mb"] = peak
    bench.figures["receive_p99_ratio"] = p99(meanwhile) / p99(alone)
    lines = [["slips alone", len(alone), f"{statistics.median(alone) * 1000:.2f}", f"{p99(alone) * 1000:.2f}"],
             [f"beside {AT_ONCE} uploads", len(meanwhile), f"{statistics.median(meanwhile) * 1000:.2f}", f"{p99(meanwhile) * 1000:.2f}"]]
    emptied(stage)
    path.unlink()
    stage.end(broker)
    return text + "\n\n" + table(["`ref.json`, one at a time", "asked", "median ms", "p99 ms"], lines) + f"""

Files of {megabytes:,} MiB into the embedded store in a process of its own; `curl to the store` is step 2 alone by a presigned PUT, without the copy that seals. {AT_ONCE} uploads at once took
{took:.0f} s, {AT_ONCE * megabytes * 1.048576 / took:,.0f} MB/s together; the broker's resident memory was {before:.0f} MB before and {peak:.0f} MB at most."""


def needed_gb(megabytes):
    """The store keeps parts until the whole is on the disk."""
    return 2 * AT_ONCE * megabytes * 1.048576 / 1000


def emptied(stage):
    for left in (stage.scratch / "store" / "bucket").glob("dropslip/**/*"):
        if left.is_file():
            left.unlink()


def curl(broker, path):
    return ["curl", "-q", "-sS", "-X", "POST", "-T", str(path), "-o", "/dev/null", "-w", "%{http_code}", "-u", f"me@example.com:{broker.token}",
            "-H", "Expect:", f"http://{broker.address}/api/v1/files.json?_filename={path.name}&fields=id"]


def through(broker, path):
    began = time.perf_counter()
    status = run(curl(broker, path))
    if status != "201":
        raise RuntimeError(f"the broker answered {status}")
    return time.perf_counter() - began


def straight(broker, path):
    slip = broker.slip(type="artifact", filename=path.name, mimeType="", size=path.stat().st_size)[1]
    headers = [word for name, value in slip["headers"].items() for word in ("-H", f"{name}: {value}")]
    began = time.perf_counter()
    status = run(["curl", "-q", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *headers, "-T", path, slip["url"]])
    if not status.startswith("2"):
        raise RuntimeError(f"curl: the store answered {status}")
    return time.perf_counter() - began


class Asking:
    """Somebody who asks for one slip after the other on one connection, and counts the seconds of each."""

    def __init__(self, broker):
        host, port = broker.address.split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=30)
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {broker.token}"}
        self.seconds = []

    def ask(self):
        began = time.perf_counter()
        self.connection.request("POST", "/v2/files/ref.json", json.dumps(SLIP_REQUEST), self.headers)
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 201:
            raise RuntimeError(f"a slip was answered with {answer.status}")
        self.seconds.append(time.perf_counter() - began)

    def during(self, seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.ask()

    def until(self, stop):
        while not stop.is_set():
            self.ask()

    def taken(self):
        seconds, self.seconds = self.seconds, []
        return seconds


def p99(seconds):
    return sorted(seconds)[int(len(seconds) * 0.99)]
