"""Calls of Kayako Classic: files as base64 in a form, with the signature before them and behind them; answers with files; strangers beside it all."""
import base64, hashlib, hmac, http.client, os, re, statistics, threading, time, urllib.parse

from receiving import emptied, p99
from report import table
from servers import run

MEGABYTES = 64
ROUNDS = 3
LISTED = 500
SECONDS = 10


def signed(bench):
    stage = bench.stage
    broker = stage.sqlite("sqlite-signed", DIALECTS="desk,kayako-classic", CLASSIC_FILE_TYPE="artifact", S3_METHOD="put", SECRETS=os.urandom(32).hex())
    pair = Pair(stage, broker)
    contents = "contents=" + urllib.parse.quote(base64.b64encode(os.urandom(MEGABYTES << 20)))
    rest = "ticketid=1&ticketpostid=1&filename=a.zip"
    forms = {"signature first": f"{pair.query()}&{rest}&{contents}", "signature last": f"{rest}&{contents}&{pair.query()}"}
    seconds, peaks = {name: [] for name in forms}, {}
    for _ in range(min(bench.rounds, ROUNDS)):
        for name, form in forms.items():
            path = bench.scratch / "form"
            path.write_text(form)
            broker.forget_peak()
            with bench.neighbours:
                seconds[name].append(posted(broker, path))
            peaks[name] = max(peaks.get(name, 0), broker.memory_mb("VmHWM"))
            emptied(stage)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    bench.figures["signed_last_ratio"] = medians["signature last"] / medians["signature first"]
    text = table([f"a form with {MEGABYTES} MiB", "seconds", "MB/s", "peak MB"],
                 [[name, f"{median:.2f}", f"{MEGABYTES * 1.048576 / median:,.0f}", f"{peaks[name]:.0f}"] for name, median in medians.items()])

    calling = Calling(broker, pair)
    for _ in range(LISTED):
        calling.post()
    listed = [timed(lambda: calling.ask("GET", "ListAll/2")) for _ in range(20)]
    read = [timed(lambda: calling.ask("GET", f"2/{calling.last}")) for _ in range(100)]
    alone = [timed(calling.post) for _ in range(300)]
    stop = threading.Event()
    strangers = [threading.Thread(target=stranger, args=(broker, stop)) for _ in range(8)]
    for one in strangers:
        one.start()
    end, hammered = time.perf_counter() + SECONDS, []
    while time.perf_counter() < end:
        hammered.append(timed(calling.post))
    stop.set()
    for one in strangers:
        one.join()
    bench.figures["signed_hammered_ratio"] = p99(hammered) / p99(alone)
    lines = [[what, len(found), f"{statistics.median(found) * 1000:.2f}", f"{p99(found) * 1000:.2f}"] for what, found in (
        (f"`ListAll` of {LISTED}", listed), ("one of 1 KB with contents", read), ("a form of 1 KB, signature last", alone),
        ("the same beside 8 strangers who send 2 MiB each, again and again", hammered))]
    emptied(stage)
    stage.end(broker)
    return text + "\n\n" + table(["call, one at a time", "asked", "median ms", "p99 ms"], lines)


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def posted(broker, path):
    began = time.perf_counter()
    status = run(["curl", "-q", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "--data-binary", f"@{path}",
                  f"http://{broker.address}/api/index.php?e=/Tickets/TicketAttachment"])
    if status != "200":
        raise RuntimeError(f"the broker answered {status}")
    return time.perf_counter() - began


class Pair:
    """What signs a call: the keys of `dropslip token classic`."""

    def __init__(self, stage, broker):
        command = [stage.binaries / "dropslip", "token", "classic"]
        said = run(command, input=broker.token, env=broker.environment, cwd=broker.environment["DROPSLIP_DATA_DIR"])
        self.key, self.secret = (line.split()[1] for line in said.splitlines())

    def query(self):
        salt = "1"
        proof = hmac.new(self.secret.encode(), salt.encode(), hashlib.sha256).digest()
        return urllib.parse.urlencode({"apikey": self.key, "salt": salt, "signature": base64.b64encode(proof)})


class Calling:
    """Somebody who makes one call after the other on one connection."""

    def __init__(self, broker, pair):
        host, port = broker.address.split(":")
        self.connection, self.pair, self.last = http.client.HTTPConnection(host, int(port), timeout=30), pair, 0

    def ask(self, method, path, body=None):
        url = f"/api/index.php?e=/Tickets/TicketAttachment/{path}" + ("" if body else f"&{self.pair.query()}")
        self.connection.request(method, url, body, {"Content-Type": "application/x-www-form-urlencoded"} if body else {})
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{url} was answered with {answer.status}: {text}")
        return text

    def post(self):
        contents = urllib.parse.quote(base64.b64encode(b"x" * 1024))
        text = self.ask("POST", "", f"ticketid=2&ticketpostid=1&filename=a.zip&contents={contents}&{self.pair.query()}")
        self.last = int(re.search(r"<id><!\[CDATA\[(\d+)", text).group(1))


def stranger(broker, stop):
    """Sends what is signed badly in the end, and comes again at once."""
    body = "ticketid=3&ticketpostid=1&filename=a.zip&contents=" + "A" * (2 << 20) + "&apikey=0123456789abcdef&salt=1&signature=AAAA"
    host, port = broker.address.split(":")
    while not stop.is_set():
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request("POST", "/api/index.php?e=/Tickets/TicketAttachment", body)
            if connection.getresponse().status == 200:
                raise RuntimeError("a stranger was let in")
        except OSError:
            pass
        connection.close()
