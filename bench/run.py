#!/usr/bin/env python3
"""Measures dropslip beside a floor, in one run, and writes the tables into BENCHMARKS.md. `make bench` arranges what it needs.

Contestants take turns (A B C, A B C, ...), so that what else the machine does hits all of them; figures are medians of the
rounds, and what counts are ratios to the floor of the same run. From the environment:

  BENCH_SECONDS, BENCH_ROUNDS   how long a load is, and how often each has its turn (3, 5)
  BENCH_CONNECTIONS             1,16,64,256
  BENCH_SECTIONS                some of SECTIONS, separated by commas; all
  BENCH_TENANTS                 1000
  BENCH_UPLOAD_MB               1000
  BENCH_RECEIVE_MB              1024; each of 16 uploads through the broker at once
  BENCH_SETTINGS                settings of dropslip, as in "LOG=warn MAX_CONNECTIONS=5000"
  BENCH_PROFILE                 release; or debug, to try this program
  BENCH_TMPDIR                  where databases and files go; /var/tmp
  BENCH_OUT                     the file to write into; without it, BENCHMARKS.md if all sections ran
"""
import glob, os, pathlib, shutil, signal, sys, tempfile, time, traceback

import confirming
import pure
import reading
import receiving
import signed
import slips
import starting
import uploading
from machine import ROOT, Disk, Neighbours, header
from report import placed, targets
from servers import Stage

# Name, title and function; each prints its tables and leaves its figures.
SECTIONS = {
    "slips": ("Slips a second: `POST /v2/files/ref.json`", slips.durable),
    "volatile": ("What durability costs", slips.volatile),
    "reserved": ("What a limit of reserved bytes costs", slips.reserved),
    "tenants": ("Many tenants in turns", slips.tenants),
    "confirm": ("Confirming: `PATCH /v2/files/{id}.json`", confirming.confirm),
    "read": ("Reading: `GET /v2/files/{id}.json` and the list", reading.read),
    "start": ("Start, memory, size", starting.start),
    "pure": ("The pure parts of step 1, by criterion", pure.pure),
    "receive": ("Uploads through the broker", receiving.receive),
    "signed": ("Calls of Kayako Classic", signed.signed),
    "upload": ("`dropslip upload` beside curl", uploading.upload),
}
NEEDED_GB = 8


class Bench:
    """One run: its options, what is up, and what was found."""

    def __init__(self):
        option = lambda name, default: os.environ.get(f"BENCH_{name}") or default
        self.seconds, self.rounds, self.tenants = int(option("SECONDS", 3)), int(option("ROUNDS", 5)), int(option("TENANTS", 1000))
        self.upload_mb = int(option("UPLOAD_MB", 1000))
        self.receive_mb = int(option("RECEIVE_MB", 1024))
        self.connections = [int(number) for number in option("CONNECTIONS", "1,16,64,256").split(",")]
        self.middle = 64
        self.sections = option("SECTIONS", ",".join(SECTIONS)).split(",")
        if unknown := set(self.sections) - set(SECTIONS):
            sys.exit(f"BENCH_SECTIONS: there is no {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
        settings = dict(pair.split("=", 1) for pair in option("SETTINGS", "").split())
        self.profile = option("PROFILE", "release")
        self.out = option("OUT", ROOT / "BENCHMARKS.md" if set(self.sections) == set(SECTIONS) and self.profile == "release" else None)
        self.eatmydata = next(iter(glob.glob(slips.EATMYDATA)), None)
        if not self.eatmydata and "volatile" in self.sections:
            sys.exit("no libeatmydata here: run localstack/setup.sh eatmydata")
        needed_gb = NEEDED_GB + ("receive" in self.sections and receiving.needed_gb(self.receive_mb))
        if shutil.disk_usage(tempfile.gettempdir()).free < needed_gb * 1e9:
            sys.exit(f"less than {needed_gb:.0f} GB free in {tempfile.gettempdir()}; BENCH_TMPDIR names another place")
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="dropslip-bench-"))
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.stage = Stage(self.scratch, target / self.profile, settings)
        self.neighbours = Neighbours([self.stage.postgres.pid, self.stage.postgres_no_fsync.pid])
        self.disk, self.figures = Disk(self.scratch), {}

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def command(self):
        named = [f"{key}='{value}'" for key, value in sorted(os.environ.items()) if key.startswith("BENCH_") and value and key != "BENCH_OUT"]
        return " ".join([*named, "make bench"])

    def run(self):
        """All sections, one after the other; one that fails leaves the others their figures. Whether all went well."""
        began, parts, failed = time.monotonic(), [], []
        for name in self.sections:
            title, function = SECTIONS[name]
            self.say(f"\n== {title} ({time.monotonic() - began:.0f} s)")
            try:
                parts.append(f"### {title}\n\n{function(self)}")
            except Exception:
                failed.append(name)
                self.say(traceback.format_exc())
        facts = header(self.stage, self.neighbours, self.command())
        facts += f"\n- Loads: {self.rounds} rounds of {self.seconds} s, contestants in turns; {(time.monotonic() - began) / 60:.0f} minutes in all"
        text = "\n\n".join([facts, "### Targets", targets(self.figures), *parts])
        print(text)
        if failed:
            self.say(f"\nfailed, and nothing is written: {', '.join(failed)}")
        elif self.out:
            out = pathlib.Path(self.out)
            out.write_text(placed(out.read_text(), text))
            self.say(f"\nwritten into {out}")
        return not failed


def main():
    # As an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench()
    try:
        sys.exit(0 if bench.run() else 1)
    finally:
        bench.stage.end()
        shutil.rmtree(bench.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
