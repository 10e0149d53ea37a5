"""`dropslip upload` of a large file beside curl."""
import os, statistics, time

from report import table
from servers import run

ROUNDS = 3
# The embedded store takes at most 512 MiB in one form.
LARGEST_FORM = 500_000_000
# DROPSLIP_MULTIPART_THRESHOLD, the default; below it the last row has no parts.
PARTS_MB = 100


def upload(bench):
    stage, megabytes = bench.stage, bench.upload_mb
    forms, puts = stage.store, stage.sqlite("sqlite-put", S3_METHOD="put")
    forms.token = (forms.folder / "development-token").read_text().strip()
    large, small = bench.scratch / "large.zip", bench.scratch / "small.zip"
    block = os.urandom(1_000_000)
    for path, size in ((large, megabytes * 1_000_000), (small, min(LARGEST_FORM, megabytes * 500_000))):
        with open(path, "wb") as file:
            for _ in range(size // len(block)):
                file.write(block)
    form = f"a form, {small.stat().st_size / 1e6:,.0f} MB"
    put = f"a presigned PUT, {large.stat().st_size / 1e6:,.0f} MB"
    parts = f"in parts, {large.stat().st_size / 1e6:,.0f} MB"
    contestants = {
        (form, "curl"): lambda: by_curl(forms, small), (form, "dropslip"): lambda: by_dropslip(bench, forms, small, "--no-multipart"),
        (put, "curl"): lambda: by_curl(puts, large), (put, "dropslip"): lambda: by_dropslip(bench, puts, large, "--no-multipart"),
        (parts, "dropslip"): lambda: by_dropslip(bench, forms, large),
    }
    seconds = {contestant: [] for contestant in contestants}
    for _ in range(min(bench.rounds, ROUNDS)):
        for contestant, send in contestants.items():
            os.sync()
            with bench.neighbours:
                seconds[contestant].append(send())
            for left in (stage.scratch / "store" / "bucket").glob("dropslip/**/*"):
                if left.is_file():
                    left.unlink()
    for path in (large, small):
        path.unlink()
    stage.end(puts)
    lines = []
    for (way, who), found in seconds.items():
        middle, (curl, _) = statistics.median(all for all, _ in found), medians(seconds[way if way != parts else put, "curl"])
        step2 = statistics.median(second for _, second in found) if who == "curl" else None
        if who != "curl":
            bench.figures.setdefault("upload_ratio", {})[way] = middle / curl
        lines.append([way, who, f"{middle:.2f}", f"{step2:.2f}" if step2 else "", f"{middle / curl:.2f}"])
    return table(["way", "client", "seconds", "of them step 2", "of curl's time"], lines) + f"""

All three steps, into the embedded store, {min(bench.rounds, ROUNDS)} rounds in turns; what is not step 2 is mostly the copy that seals the file. The store takes at
most 512 MiB in a form, hence the sizes; what goes in parts is compared with curl's PUT of the same file. From {PARTS_MB} MB on, files go in parts."""


def medians(found):
    return tuple(statistics.median(one[index] for one in found) for index in (0, 1))


def by_curl(broker, path):
    """Seconds of all three steps, and of step 2."""
    began = time.perf_counter()
    slip = broker.slip(type="artifact", filename=path.name, mimeType="", size=path.stat().st_size)[1]
    if slip["method"] == "POST":
        fields = [word for name, value in slip["params"].items() for word in ("--form-string", f"{name}={value}")]
        how = [*fields, "-F", f"file=@{path}"]
    else:
        how = [*(word for name, value in slip["headers"].items() for word in ("-H", f"{name}: {value}")), "-T", path]
    sending = time.perf_counter()
    status = run(["curl", "-q", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *how, slip["url"]])
    sent = time.perf_counter()
    if not status.startswith("2"):
        raise RuntimeError(f"curl: the store answered {status}")
    broker.ask("PATCH", f"/v2/files/{slip['file']['id']}.json")
    return time.perf_counter() - began, sent - sending


def by_dropslip(bench, broker, path, *options):
    environment = os.environ | {"DROPSLIP_SERVER": f"http://{broker.address}", "DROPSLIP_TOKEN": broker.token, "XDG_STATE_HOME": str(bench.scratch / "state")}
    began = time.perf_counter()
    told = run([bench.stage.binaries / "dropslip", "upload", "--json", "--type", "artifact", *options, path], env=environment)
    seconds = time.perf_counter() - began
    if '"active"' not in told:
        raise RuntimeError(f"dropslip upload: {told}")
    return seconds, None
