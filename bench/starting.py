"""From nothing to the first slip; memory; the size of the program."""
import shutil, statistics, subprocess, time

from report import table
from servers import Server

STARTS = 10


def start(bench):
    stage, lines = bench.stage, []
    for name, once in (("SQLite", stage.sqlite("sqlite-start")), ("Postgres", stage.on_postgres("postgres-start", stage.postgres))):
        stage.end(once)
        milliseconds, idle = [], []
        for _ in range(STARTS):
            began = time.perf_counter()
            server = Server(name, [stage.binaries / "dropslip", "serve"], once.environment, once.folder)
            try:
                server.token = once.token
                server.slip()
                milliseconds.append((time.perf_counter() - began) * 1000)
                idle.append(server.memory_mb())
            finally:
                server.stop()
        cold = bench.figures.setdefault("cold_start_ms", {})
        cold[name] = statistics.median(milliseconds)
        bench.figures.setdefault("idle_mb", {})[name] = statistics.median(idle)
        loaded = bench.figures.get("slips", {}).get(max(bench.connections), {}).get(name)
        lines.append([name, f"{cold[name]:.0f}", f"{max(milliseconds):.0f}", f"{statistics.median(idle):.1f}", f"{loaded['peak_mb']:.0f}" if loaded else "not measured"])
    columns = ["database", "first 201 after ms", "slowest ms", "idle memory MB", f"peak memory MB, {max(bench.connections)} connections"]
    return table(columns, lines) + f"""

{STARTS} starts of a fresh process on a database with tables, with a bucket configured (an embedded store in a process of its own, reached like any other), from before the process until
`ref.json` was answered. Idle is the resident memory right after that. {size(bench)}"""


def size(bench):
    program = bench.stage.binaries / "dropslip"
    built = f"The program has {program.stat().st_size / 1e6:.1f} MB as built"
    if not shutil.which("strip"):
        return built + "."
    stripped = bench.scratch / "stripped"
    subprocess.run(["strip", "-o", stripped, program], check=True)
    bench.figures["program_mb"] = stripped.stat().st_size / 1e6
    return built + f", {bench.figures['program_mb']:.1f} MB stripped of symbols."
