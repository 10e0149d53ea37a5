"""What a run was made on, who else used the machine, and what its disk takes to be sure."""
import os, pathlib, platform, re, shutil, statistics, subprocess, time

from servers import TICKS, run

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNEL_THREADS = 2  # their parent's number


class Neighbours:
    """How much of the processors others used during each `with`: processes that neither descend from us nor are our Postgres."""

    def __init__(self, roots):
        self.roots, self.shares, self.stolen = {os.getpid(), *roots}, [], []

    def __enter__(self):
        self.before, self.began = self.look(), time.monotonic()

    def __exit__(self, *_):
        available = (time.monotonic() - self.began) * TICKS * os.cpu_count()
        ours, kernel, others, busy, stolen = (now - before for now, before in zip(self.look(), self.before))
        # Both miss something: the sum over processes those that ended, the rest of the total what interrupts cost them.
        self.shares.append(max(others, busy - ours - kernel, 0) / available)
        self.stolen.append(stolen / available)

    def look(self):
        """Ticks of ours, of the kernel's threads, of all others; of everybody; stolen by other virtual machines."""
        spent, parents = {}, {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            # With ended children: what a process used is never lost, it moves to its parent.
            spent[int(stat.parent.name)], parents[int(stat.parent.name)] = sum(map(int, fields[11:15])), int(fields[1])
        sums = [0, 0, 0]
        for pid, ticks in spent.items():
            line = [pid]
            while line[-1] in parents and parents[line[-1]] not in line:
                line.append(parents[line[-1]])
            sums[0 if self.roots & set(line) else 1 if KERNEL_THREADS in line else 2] += ticks
        user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        return *sums, user + nice + system, steal

    def line(self):
        if not self.shares:
            return "not looked at: nothing was loaded"
        middle, most, stolen = statistics.median(self.shares), max(self.shares), max(self.stolen)
        verdict = "quiet" if middle < 0.02 and most < 0.1 and stolen < 0.05 else "**busy: compare with care**"
        return (f"{verdict}; during loads other processes used {middle:.1%} of the processors (median; {most:.1%} in the worst load), "
                f"other virtual machines at most {stolen:.1%}")


class Disk:
    """4 KiB appended and synced, again and again, where the databases are."""

    def __init__(self, folder):
        self.path, self.seconds = folder / "sync", []

    def measure(self, times=40):
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for _ in range(times):
            began = time.perf_counter()
            os.write(file, bytes(4096))
            os.fdatasync(file)
            self.seconds.append(time.perf_counter() - began)
        os.close(file)

    def figures(self):
        """Median and 99th percentile in microseconds, and how many there were."""
        ordered = sorted(self.seconds)
        return statistics.median(ordered) * 1e6, ordered[int(len(ordered) * 0.99)] * 1e6, len(ordered)


def header(stage, neighbours, command):
    """The facts that figures mean nothing without, as a Markdown list."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 1e6
    where = run(["findmnt", "-no", "FSTYPE,SOURCE,OPTIONS", "-T", stage.scratch]).split()
    commit = run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT).strip()
    changed = " with local changes" if run(["git", "status", "--porcelain", "--untracked-files=no", "src", "Cargo.toml", "Cargo.lock"], cwd=ROOT) else ""
    facts = {
        "Date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "Command": f"`{command}`",
        "Machine": f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} processors, {memory:.0f} GB, Linux {platform.release()}; the load generator runs on it too",
        "File system of the databases": f"{where[0]} on {where[1]} ({where[2]})",
        "Neighbours": neighbours.line(),
        "dropslip": f"{run([stage.binaries / 'dropslip', '--version']).split()[-1]}, commit {commit}{changed}, profile {stage.binaries.name}, {run(['rustc', '--version']).strip()}",
        "Settings": "the defaults (log level info, JSON to a file), an S3 bucket, limits of slips and requests on but out of reach"
                    + "".join(f", `{key}={value}`" for key, value in stage.settings.items()),
        "PostgreSQL": run([stage.postgres.bin / "postgres", "--version"]).strip().removeprefix("postgres (PostgreSQL) ") + ", as `initdb` sets it up",
        "SQLite": sqlite_version(stage.scratch / "store" / "store.db") + ", as dropslip sets it up (WAL, `synchronous=FULL`)",
    }
    if shutil.which("wrk"):
        wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True)
        facts["wrk"] = re.sub(r"^wrk (\S+).*", r"\1", (wrk.stdout + wrk.stderr).splitlines()[0]) + ", 1 thread"
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


def sqlite_version(file):
    """The library that wrote last tells its version in the file's header."""
    with open(file, "rb") as database:
        number = int.from_bytes(database.read(100)[96:100], "big")
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
