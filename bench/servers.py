"""The processes of a benchmark: how they start, what they cost, how they end."""
import http.client, json, os, pathlib, re, signal, subprocess, sys

TICKS = os.sysconf("SC_CLK_TCK")
SLIP_REQUEST = {"type": "attachment", "filename": "photo.png", "mimeType": "image/png", "disposition": "attachment", "size": 14358}
# Never reached, but counted like every limit.
LIMITS = {
    "ACTOR_OPEN_SLIPS": "1000000000", "TENANT_OPEN_SLIPS": "1000000000",
    "ACTOR_REQUESTS_PER_SECOND": "1000000", "TENANT_REQUESTS_PER_SECOND": "1000000",
}


def cpu_ticks(pid, with_ended_children=False):
    """User and system time of a process so far; 0 of one that is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0
    return sum(int(field) for field in fields[11:15 if with_ended_children else 13])


class Postgres:
    """A server that localstack/with-servers.sh started."""

    def __init__(self, url, pid):
        self.url, self.pid = url, int(pid)
        self.bin = pathlib.Path(f"/proc/{self.pid}/exe").resolve().parent

    def database(self, name):
        """The URL of a new, empty database."""
        run([self.bin / "psql", self.url, "-qc", f'CREATE DATABASE "{name}"'])
        return re.sub(r"/[^/]*$", f"/{name}", self.url)

    def cpu_seconds(self):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        # Backends that ended have handed their time to their parent.
        return (cpu_ticks(self.pid, with_ended_children=True) + sum(map(cpu_ticks, children))) / TICKS


class Server:
    """A server of ours: where it listens, and the processes whose time it costs."""

    def __init__(self, name, command, environment, folder, postgres=None):
        self.name, self.folder, self.postgres, self.token = name, folder, postgres, None
        folder.mkdir(parents=True, exist_ok=True)
        # A file, as in production: what is no terminal gets JSON.
        with open(folder / "log", "a") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.address = self.told(r"(\d+\.\d+\.\d+\.\d+:\d+)")
        self.idle_mb = None

    def told(self, pattern):
        """What the next line on stdout with this pattern says."""
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found.group(1)
        raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'log').read_text()[-3000:]}")

    def cpu_seconds(self):
        return cpu_ticks(self.process.pid) / TICKS + (self.postgres.cpu_seconds() if self.postgres else 0)

    def memory_mb(self, line="VmRSS"):
        """Resident memory now, or with VmHWM the most since forget_peak()."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{line}:\s+(\d+) kB", status).group(1)) * 1024 / 1e6

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def ask(self, method, path, body=None, expect=(200, 201), token=None):
        """One request on a connection of its own: status, JSON, and the length of the answer with its head."""
        host, port = self.address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        headers = {"Content-Type": "application/json"}
        if token or self.token:
            headers["Authorization"] = f"Bearer {token or self.token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if expect and answer.status not in expect:
            raise RuntimeError(f"{self.name}: {method} {path}: {answer.status} {text[:500]!r}")
        head = len(f"HTTP/1.1 {answer.status} {answer.reason}\r\n\r\n") + sum(len(f"{k}: {v}\r\n") for k, v in answer.getheaders())
        return answer.status, (json.loads(text) if text.startswith(b"{") else text), head + len(text)

    def slip(self, **more):
        return self.ask("POST", "/v2/files/ref.json", SLIP_REQUEST | more, expect=(201,))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)


class Stage:
    """Everything that runs, below one scratch folder; all of it ends with the stage."""

    def __init__(self, scratch, binaries, settings):
        self.scratch, self.binaries, self.settings = scratch, binaries, settings
        self.servers, self._store = [], None
        self.postgres = self._postgres("TEST_POSTGRES")
        self.postgres_no_fsync = self._postgres("TEST_POSTGRES_NO_FSYNC")

    @staticmethod
    def _postgres(name):
        try:
            return Postgres(os.environ[f"{name}_URL"], os.environ[f"{name}_PID"])
        except KeyError:
            sys.exit(f"{name}_URL is not set: this runs under localstack/with-servers.sh, as in `make bench`")

    def environment(self, folder, database_url, **more):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DROPSLIP_", "TEST_", "AWS_", "BENCH_"))}
        settings = {"LISTEN": "127.0.0.1:0", "DATA_DIR": str(folder), "DATABASE_URL": database_url, **LIMITS, **self.settings, **more}
        return kept | {"AWS_EC2_METADATA_DISABLED": "true"} | {f"DROPSLIP_{key}": value for key, value in settings.items()}

    @property
    def store(self):
        """One embedded store in a process of its own: to all brokers it is an ordinary bucket."""
        if self._store is None:
            folder = self.scratch / "store"
            environment = self.environment(folder, f"sqlite:{folder}/store.db", EMBEDDED_S3_LISTEN="127.0.0.1:0")
            self._store = self.started("store", [self.binaries / "dropslip", "serve"], environment, folder)
            self._store.endpoint = self._store.told(r"embedded S3 store listens on http://([\d.]+:\d+)")
            self._store.credentials = json.loads((folder / "embedded-s3-credentials.json").read_text())
        return self._store

    def broker_environment(self, name, database_url, endpoint=None, preload=None, **more):
        store = self.store
        bucket = {"S3_BUCKET": "dropslip", "S3_REGION": "us-east-1", "S3_ENDPOINT": f"http://{endpoint or store.endpoint}"}
        environment = self.environment(self.scratch / name, database_url, **bucket, **more)
        environment |= {"AWS_ACCESS_KEY_ID": store.credentials["access_key_id"], "AWS_SECRET_ACCESS_KEY": store.credentials["secret_access_key"]}
        return environment | ({"LD_PRELOAD": str(preload)} if preload else {})

    def broker(self, name, database_url, postgres=None, **more):
        """`dropslip serve` on that database, with a token."""
        folder = self.scratch / name
        folder.mkdir()
        environment = self.broker_environment(name, database_url, **more)
        token = self.token(environment, user=1)
        server = self.started(name, [self.binaries / "dropslip", "serve"], environment, folder, postgres)
        server.token, server.environment = token, environment
        server.slip()
        server.idle_mb = server.memory_mb()
        return server

    def sqlite(self, name, **more):
        return self.broker(name, f"sqlite:{self.scratch}/{name}/bench.db", **more)

    def on_postgres(self, name, postgres, **more):
        return self.broker(name, postgres.database(f"bench-{name}"), postgres, **more)

    def token(self, environment, user, tenant="default"):
        command = [self.binaries / "dropslip", "token", "create", "--user", str(user), "--tenant", tenant]
        return run(command, env=environment, cwd=environment["DROPSLIP_DATA_DIR"]).strip()

    def floor(self, answer_bytes):
        """The bare server, with answers of that length."""
        floor = self.started(f"floor {answer_bytes}", [self.binaries / "examples" / "floor", answer_bytes], dict(os.environ), self.scratch / "floor")
        _, _, length = floor.ask("GET", "/", expect=(201,))
        if length != answer_bytes:
            raise RuntimeError(f"the floor's answer has {length} bytes and not {answer_bytes}")
        floor.idle_mb = floor.memory_mb()
        return floor

    def started(self, *arguments):
        server = Server(*arguments)
        self.servers.append(server)
        return server

    def end(self, *servers):
        for server in servers or reversed(self.servers[:]):
            self.servers.remove(server)
            server.stop()


def run(command, **more):
    """What a command prints on stdout; an error says what it printed elsewhere."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{pathlib.Path(command[0]).name} failed with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
