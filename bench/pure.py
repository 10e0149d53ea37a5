"""Criterion's medians of what needs neither disk nor network."""
import json, os, pathlib, re, subprocess, time

from machine import ROOT
from report import table

BENCH = ["cargo", "bench", "--locked", "--bench", "step1"]
TIMES = ["--warm-up-time", "1", "--measurement-time", "3"]


def pure(bench):
    began = time.time()
    profile = ["--profile", "dev"] if bench.profile == "debug" else []
    with bench.neighbours:
        done = subprocess.run([*BENCH, *profile, "--", *TIMES], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    medians = {}
    for estimates in pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).glob("criterion/*/new/estimates.json"):
        # What earlier versions measured stays there.
        if estimates.stat().st_mtime >= began:
            name = json.loads(estimates.with_name("benchmark.json").read_text())["full_id"]
            medians[name] = json.loads(estimates.read_text())["median"]["point_estimate"] / 1000
    bench.figures["presign_us"] = medians["presign"]
    bytes_signed = re.search(r"the signed policy has (\d+) bytes", done.stdout).group(1)
    lines = [[f"`{name}`", f"{middle:.2f}", f"{middle / medians['floor']:.2f}"] for name, middle in sorted(medians.items(), key=lambda one: one[1])]
    return table(["benchmark", "median µs", "of `floor`"], lines) + f"""

[`benches/step1.rs`](benches/step1.rs) says what each does. `floor` is one HMAC-SHA256 with its key prepared over the {bytes_signed} bytes of a policy: no signer can do with less."""
