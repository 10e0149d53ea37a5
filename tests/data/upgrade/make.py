#!/usr/bin/env python3
"""Makes what tests/it/database/upgrades.rs upgrades: a data folder and an SQL dump, with rows in every table, by a program of COMMIT. Anew, or for another one:

  git worktree add /tmp/old COMMIT && (cd /tmp/old && cargo build --locked)
  SERVERS="postgres seaweedfs" localstack/with-servers.sh sh -c '"$TEST_PYTHON" tests/data/upgrade/make.py /tmp/old'

Everything goes to tests/data/upgrade/COMMIT; the tests take every such folder that there is. Its secrets were made for it and are of use nowhere else.
What happens in the installation stands in story.py. Postgres is the server that with-servers.sh starts: 15 on Debian 12.
"""
import base64, datetime, gzip, hashlib, hmac, http.server, io, json, os, pathlib, shutil, signal, sqlite3, subprocess, sys, tarfile, tempfile
import threading, time, urllib.error, urllib.parse, urllib.request

import boto3
from story import tell

HERE = pathlib.Path(__file__).resolve().parent
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LINK_SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
JWT_SECRET, ISSUER, AUDIENCE = "throw-away secret of an upgrade fixture", "https://id.example.com/", "dropslip"
JWT = {"DROPSLIP_JWT_SECRET": JWT_SECRET, "DROPSLIP_JWT_ISSUER": ISSUER, "DROPSLIP_JWT_AUDIENCE": AUDIENCE}
LARGEST = 1 << 20


class Receiver:
    """Where webhooks go: the path says how they are answered."""

    ANSWERS = {"/told": 204, "/failing": 500, "/closed": 410}

    def __init__(self):
        self.hanging, receiver = threading.Event(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/hanging":
                    receiver.hanging.set()
                    time.sleep(60)
                self.send_response(receiver.ANSWERS.get(self.path, 404))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def endpoint(self, name, more=""):
        return f'[[endpoint]]\nname = "{name}"\nurl = "{self.url}/{name}"\nsecrets = ["{WEBHOOK_SECRET}"]\n{more}\n'


class World:
    """One installation of the old program: its settings, its broker, and what was told to its clients."""

    def __init__(self, program, folder, settings):
        self.program, self.folder, self.receiver, self.broker = program, folder, Receiver(), None
        self.webhooks = folder / "webhooks.toml"
        self.kept = {"DROPSLIP_MULTIPART_THRESHOLD": "1", "DROPSLIP_PART_SIZE": "5 MiB"} | JWT | settings
        self.settings = self.kept | {
            "DROPSLIP_LISTEN": "127.0.0.1:0", "DROPSLIP_WEBHOOKS_FILE": str(self.webhooks), "DROPSLIP_SWEEP_INTERVAL": "0",
            "DROPSLIP_LOG": "info,sqlx::query=debug", "DROPSLIP_LOG_FORMAT": "json",
        }
        self.log = folder / "log"
        self.facts = {name: [] for name in ("tokens", "uploadTokens", "files", "idempotencyKeys", "tickets", "parts")}

    def environment(self, **more):
        passed = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "PATH"))}
        return passed | self.settings | more

    def run(self, *arguments):
        with self.log.open("ab") as log:
            done = subprocess.run([self.program, *arguments], cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE, stderr=log, check=True)
        return done.stdout.decode()

    def start(self, endpoints, retry, **more):
        """Starts the broker; events that do not arrive are tried again after `retry`."""
        self.webhooks.write_text("".join(endpoints))
        self.webhooks.chmod(0o600)
        environment = self.environment(DROPSLIP_WEBHOOKS_RETRY=retry, **more)
        self.broker = subprocess.Popen([self.program, "serve"], cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=self.log.open("ab"))
        line = self.broker.stdout.readline().decode()
        self.url = line.removeprefix("dropslip listens on ").strip() or sys.exit(f"it did not start: {self.log.read_text()[-2000:]}")
        threading.Thread(target=self.broker.stdout.read, daemon=True).start()

    def stop(self, by=signal.SIGTERM):
        self.broker.send_signal(by)
        code = self.broker.wait(60)
        assert code == (0 if by == signal.SIGTERM else -by), code

    def token(self, name, *options, state="good"):
        text = self.run("token", "create", *options).strip()
        number = self.run("token", "list").strip().splitlines()[-1].split()[0]
        if state == "revoked":
            self.run("token", "revoke", number)
        self.facts["tokens"].append({"name": name, "text": text, "options": options, "state": state})
        return text

    def upload_token(self, of, bearer, types):
        said = self.ask(201, "POST", "/companion/tokens.json", bearer, {"types": types, "seconds": 3600})
        endpoint = said["companionEndpoint"]
        self.facts["uploadTokens"].append({"of": of, "types": types, "text": endpoint.rsplit("/", 1)[1]})
        return urllib.parse.urlsplit(endpoint).path

    def jwt(self, user, tenant):
        now = int(time.time())
        whose = {"sub": str(user), "tenant": tenant, "scope": "files:read files:write"}
        claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600, **whose}
        encoded = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
        said = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return (said + b"." + encoded(hmac.digest(JWT_SECRET.encode(), said, "sha256"))).decode()

    def ask(self, expected, method, path, token=None, body=None, **headers):
        """A request to the broker, or to the store by a whole URL; what it answers, and the status must be the expected one."""
        url = path if path.startswith("http") else self.url + path
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Authorization": f"Bearer {token}"} if token else {})
        # urllib would say that it is a form.
        headers.setdefault("Content-Type", "application/octet-stream" if path.startswith("http") else "application/json")
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, said = error.code, error.read()
        assert status == expected, f"{method} {path}: {status} {said.decode()}"
        return json.loads(said) if said[:1] in (b"{", b"[") else said

    def drop(self, url, fields, data):
        boundary = "dropslip-fixture"
        form = io.BytesIO()
        for name, value in [*fields.items(), ("file", None)]:
            more = '; filename="a.bin"\r\nContent-Type: application/octet-stream' if value is None else ""
            form.write(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode())
            form.write((data if value is None else value.encode()) + b"\r\n")
        form.write(f"--{boundary}--\r\n".encode())
        self.ask(201, "POST", url, None, form.getvalue(), Content_Type=f"multipart/form-data; boundary={boundary}")

    def part(self, file, url, number, data, **headers):
        self.ask(200, "PUT", url, None, data, **headers)
        self.facts["parts"].append({"file": file, "number": number, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})

    def wait_for_events(self, endpoint, state, count=1):
        deadline = time.monotonic() + 30
        is_such = lambda event: (event["endpoint"], event["state"]) == (endpoint, state) and event["attempts"] > 0
        while len(found := [event for event in self.events() if is_such(event)]) < count:
            assert time.monotonic() < deadline, (endpoint, state, found)
            time.sleep(0.1)

    def events(self):
        return [json.loads(line) for line in self.run("events", "list", "--json", "--limit", "10000").splitlines()]

    def statements(self):
        """What the program asked of its database, each once."""
        asked = set()
        for line in self.log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("target") == "sqlx::query":
                asked.add(" ".join((event.get("db.statement") or event["summary"]).split()))
        # Neither those of the driver's migrations nor what is about the server.
        ours, others = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "), ("_sqlx_migrations", " pg_")
        return sorted(text for text in asked if text.startswith(ours) and not any(word in text for word in others))


def packed(path, members):
    """A tar.gz that comes out the same for the same members: (name, bytes or None for a folder)."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, data in sorted(members):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size = (tarfile.DIRTYPE, 0o700, 0) if data is None else (tarfile.REGTYPE, 0o600, len(data))
            tar.addfile(info, io.BytesIO(data or b""))


def written(target, name, world, facts):
    facts = {"commit": COMMIT, "settings": world.kept, "webhooks": world.receiver.url, **facts, **world.facts}
    (target / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")


def of_database(query, tables, times):
    """How many rows each table has, none of them without any, and which columns are moments."""
    rows = {table: int(query(f"SELECT COUNT(*) FROM {table}")) for table in tables}
    empty = [table for table, count in rows.items() if count == 0]
    assert not empty, f"no row in {empty}"
    return {"madeAt": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "rows": rows, "times": times}


def embedded(program, target, times):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        world = World(program, folder, {})
        world.settings |= {"DROPSLIP_EMBEDDED_S3_LISTEN": "127.0.0.1:0", "DROPSLIP_DATA_DIR": str(folder / "data")}
        tell(world)
        data = folder / "data"
        # A database whose broker was killed has all that is new in its log.
        database = sqlite3.connect(data / "dropslip.db")
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        facts = of_database(lambda sql: database.execute(sql).fetchone()[0], tables, times)
        database.close()
        development = (data / "development-token").read_text().strip()
        world.facts["tokens"].append({"name": "development", "text": development, "options": [], "state": "good"})
        facts["statements"] = world.statements()
        members = [(str(path.relative_to(folder)), None if path.is_dir() else path.read_bytes()) for path in data.rglob("*")]
        packed(target / "embedded.tar.gz", [member for member in members if not member[0].endswith((".db-shm", ".db-wal"))])
        written(target, "embedded", world, facts)


def sql(url, text):
    return subprocess.run(["psql", url, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text], stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def postgres(program, target):
    """Answers which columns are moments."""
    server, endpoint, bucket = os.environ["TEST_POSTGRES_URL"], os.environ["TEST_SEAWEEDFS_URL"], "upgrade-fixture"
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    s3.create_bucket(Bucket=bucket)
    sql(server, "CREATE DATABASE upgrade_fixture")
    url = server.rsplit("/", 1)[0] + "/upgrade_fixture"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        world = World(program, folder, {"DROPSLIP_PROXY_KEYS": LINK_SECRET})
        world.settings |= {"DROPSLIP_DATABASE_URL": url, "DROPSLIP_S3_ENDPOINT": endpoint, "DROPSLIP_S3_BUCKET": bucket}
        world.settings |= {"DROPSLIP_S3_REGION": "us-east-1"}
        tell(world)
        columns = sql(url, "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' "
                      "AND data_type = 'timestamp with time zone' AND table_name <> '_sqlx_migrations' ORDER BY 1")
        tables = sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").splitlines()
        facts = of_database(lambda text: sql(url, text), tables, columns.splitlines())
        facts["statements"] = world.statements()
        dump = subprocess.run(["pg_dump", "--no-owner", "--no-privileges", url], stdout=subprocess.PIPE, check=True).stdout.decode()
        # A server before the patch of pg_dump does not know these lines, and their key is another each time.
        lines = [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
        (target / "postgres.sql").write_text("\n".join(lines) + "\n")
        facts["objects"], members = [], []
        for listed in s3.list_objects_v2(Bucket=bucket)["Contents"]:
            found = s3.get_object(Bucket=bucket, Key=listed["Key"])
            stored_with = {"contentType": found["ContentType"], "disposition": found.get("ContentDisposition")}
            facts["objects"].append({"key": listed["Key"], "etag": found["ETag"].strip('"'), **stored_with})
            members.append((listed["Key"], found["Body"].read()))
        # Parts of uploads that are still open cannot be read; their bytes are those of story.lines().
        packed(target / "postgres-objects.tar.gz", members)
        written(target, "postgres", world, facts)
    return facts["times"]


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1]).resolve()
    COMMIT = subprocess.run(["git", "-C", source, "rev-parse", "HEAD"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    target = HERE / COMMIT[:7]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    times = postgres(source / "target/debug/dropslip", target)
    embedded(source / "target/debug/dropslip", target, times)
    size = sum(path.stat().st_size for path in target.iterdir())
    assert size < LARGEST, size
    print(f"{target}: {size} bytes, {len(list(target.iterdir()))} files")
