#!/usr/bin/env bash
# with-servers.sh CMD...: runs CMD with LocalStack, SeaweedFS and PostgreSQL up on free ports of 127.0.0.1, tells CMD
# their addresses in TEST_* variables, and returns CMD's exit code. They live in a scratch directory and are gone when CMD
# ends. Nothing is printed after CMD, so that a test runner's summary stays the last line.
# SERVERS names those to start, when not these three: localstack, seaweedfs, postgres; postgres-no-fsync, a second PostgreSQL
# that loses data when the machine stops, to compare with; ceph and garage, more stores to try (dev/stores.sh).
# shellcheck disable=SC2317  # it does not see the calls made by trap and by wait_for
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/.venv
started=$SECONDS

say() { echo "with-servers.sh: $*" >&2; }

if (($# == 0)); then
  say "usage: with-servers.sh CMD [ARG...]"
  exit 2
fi
if [[ ! -e $venv/stamp ]]; then
  say "nothing is installed yet: run localstack/setup.sh first"
  exit 1
fi
read -ra servers <<<"${SERVERS:-localstack seaweedfs postgres}"
for name in "${servers[@]}"; do
  if [[ " localstack seaweedfs postgres postgres-no-fsync ceph garage " != *" $name "* ]]; then
    say "SERVERS: there is no ‘$name’"
    exit 2
  fi
done
wanted() { [[ " ${servers[*]} " == *" $1 "* ]]; }
pg_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
if [[ ! -x $pg_bin/initdb ]]; then
  pg_bin=$(dirname "$(readlink -f "$(command -v initdb)")")
fi

# --- Stopping --------------------------------------------------------------------------------------------------------

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dropslip-servers.XXXXXX")
chmod 711 "$scratch" # the postgres user must reach its directory in here
declare -A pids=()   # server name -> pid, each the leader of its own process group
cmd_pid='' cmd_target='' ports=()

stop_all() {
  trap '' INT TERM HUP
  if [[ -n $cmd_pid ]] && kill -TERM -- "$cmd_target" 2>/dev/null; then
    for _ in {1..50}; do
      kill -0 "$cmd_pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "$cmd_target" 2>/dev/null || true
  fi
  # The data is thrown away, so nobody needs a slow, clean stop. PostgreSQL gets its "immediate shutdown" signal and not
  # KILL, because only then does it hand back its shared memory.
  for name in "${!pids[@]}"; do
    if [[ $name == postgres* ]]; then
      kill -QUIT "${pids[$name]}" 2>/dev/null || true
    else
      kill -KILL -- "-${pids[$name]}" 2>/dev/null || true
    fi
  done
  wait "${pids[@]}" 2>/dev/null || true
  for port in "${ports[@]}"; do
    rm -f /tmp/seaweedfs-*-grpc-"$port".sock # SeaweedFS puts these in /tmp whatever it is told
  done
  rm -rf "$scratch"
}
trap stop_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- Starting --------------------------------------------------------------------------------------------------------

# Ports below 32768, where the kernel does not pick ports for outgoing connections in the meantime.
ports_text=$("$venv/bin/python" - <<'PYTHON'
import random, socket
free = set()
while len(free) < 16:
    port = random.randint(10000, 32000)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            free.add(port)
        except OSError:
            pass
print(*free)
PYTHON
)
read -ra ports <<<"$ports_text"
localstack_port=${ports[0]} postgres_port=${ports[1]} s3_port=${ports[2]}

# launch NAME SIGNAL [SETPRIV_OPTION...] -- CMD...: in its own process group, with a clean environment, logging to
# NAME.log; SIGNAL is what it gets should this script be killed without a chance to stop it.
launch() {
  local name=$1 signal=$2 options=()
  shift 2
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  setsid setpriv "${options[@]}" --pdeathsig "$signal" \
    env -i -C "$scratch" PATH="$PATH" HOME="$scratch" TMPDIR="$scratch" LANG=C.UTF-8 "$@" \
    >"$scratch/$name.log" 2>&1 </dev/null &
  pids[$name]=$!
}

start_localstack() {
  mkdir "$scratch/localstack"
  # OVERRIDE_IN_DOCKER=0: should we be in a container, it would take that for its own and write all over the machine.
  launch localstack KILL -- env SERVICES=s3,sqs,sns GATEWAY_LISTEN="127.0.0.1:$localstack_port" \
    LOCALSTACK_HOST="127.0.0.1:$localstack_port" FILESYSTEM_ROOT="$scratch/localstack" OVERRIDE_IN_DOCKER=0 \
    DNS_ADDRESS=0 DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 "$venv/bin/python" "$here/start_localstack.py"
}

export TEST_S3_ACCESS_KEY=dropslip-test-key TEST_S3_SECRET_KEY=dropslip-test-secret
# CMD finds the same credentials where every AWS client looks first, and asks no instance for others.
export AWS_ACCESS_KEY_ID=$TEST_S3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$TEST_S3_SECRET_KEY AWS_EC2_METADATA_DISABLED=true

# Where SeaweedFS posts notifications to, and what it says to be let in.
export TEST_SEAWEEDFS_NOTIFIES=127.0.0.1:${ports[11]} TEST_SEAWEEDFS_NOTIFIES_TOKEN=seaweedfs-knows-this-secret

start_seaweedfs() {
  mkdir "$scratch/seaweedfs"
  # Without this file SeaweedFS lets anybody in and checks no signature.
  cat >"$scratch/s3.json" <<JSON
{"identities": [{"name": "tests", "actions": ["Admin", "Read", "List", "Tagging", "Write"],
  "credentials": [{"accessKey": "$TEST_S3_ACCESS_KEY", "secretKey": "$TEST_S3_SECRET_KEY"}]}]}
JSON
  # Its filer tells one address of uploads to buckets whose names begin with told-: the broker of the one test that wants to know.
  cat >"$scratch/notification.toml" <<TOML
[notification.webhook]
enabled = true
endpoint = "http://127.0.0.1:${ports[11]}/notifications/s3"
bearer_token = "$TEST_SEAWEEDFS_NOTIFIES_TOKEN"
max_retries = 3
backoff_seconds = 1
event_types = ["create", "update"]
path_prefixes = ["/buckets/told-"]
TOML
  # Every bucket takes volumes of its own: one small one each (not seven of 30 GB), and room for many buckets.
  # A missing bucket is an error, as on S3, and is not made by the first upload.
  launch seaweedfs KILL -- env WEED_MASTER_VOLUME_GROWTH_COPY_1=1 \
    "$venv/bin/weed" server -dir="$scratch/seaweedfs" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -master.port="${ports[3]}" -master.port.grpc="${ports[4]}" -master.volumeSizeLimitMB=64 -master.telemetry=false \
    -volume.port="${ports[5]}" -volume.port.grpc="${ports[6]}" -volume.max=4000 \
    -filer -filer.port="${ports[7]}" -filer.port.grpc="${ports[8]}" -filer.localSocket="$scratch/filer.sock" \
    -s3 -s3.port="$s3_port" -s3.port.grpc="${ports[9]}" -s3.localSocket="$scratch/s3.sock" -s3.config="$scratch/s3.json" \
    -s3.autoCreateBucket=false -s3.port.iceberg=0 -s3.port.lance=0
}

start_ceph() {
  mkdir "$scratch/ceph"
  launch ceph KILL -- env TEST_S3_ACCESS_KEY="$TEST_S3_ACCESS_KEY" TEST_S3_SECRET_KEY="$TEST_S3_SECRET_KEY" \
    "$here/../dev/start_ceph.sh" "$scratch/ceph" "${ports[12]}" "${ports[13]}"
}

start_garage() {
  cat >"$scratch/garage.toml" <<TOML
metadata_dir = "$scratch/garage/meta"
data_dir = "$scratch/garage/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:${ports[15]}"
rpc_public_addr = "127.0.0.1:${ports[15]}"
rpc_secret = "$(printf %s "$TEST_S3_SECRET_KEY" | sha256sum | cut -c1-64)"
[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:${ports[14]}"
TOML
  launch garage KILL -- env GARAGE_DEFAULT_ACCESS_KEY="$TEST_S3_ACCESS_KEY" GARAGE_DEFAULT_SECRET_KEY="$TEST_S3_SECRET_KEY" \
    GARAGE_ALLOW_WORLD_READABLE_SECRETS=true "$here/.tools/bin/garage" -c "$scratch/garage.toml" server --single-node --default-access-key
}

# start_postgres NAME PORT [OPTION...]
start_postgres() {
  local name=$1 port=$2 pg_user=()
  shift 2
  mkdir "$scratch/$name"
  # PostgreSQL refuses to run as root. setpriv, not runuser: it leaves no parent process between us and the server.
  if ((EUID == 0)); then
    pg_user=(--reuid=postgres --regid=postgres --init-groups)
    chown postgres: "$scratch/$name"
  fi
  if ! setpriv "${pg_user[@]}" env -C "$scratch" "$pg_bin/initdb" --pgdata="$scratch/$name" --username=postgres \
    --auth=trust --encoding=UTF8 --locale=C --no-sync >"$scratch/initdb.log" 2>&1; then
    say "PostgreSQL's initdb failed (can the user postgres reach $scratch?):"
    tail -n 40 "$scratch/initdb.log" >&2
    exit 1
  fi
  launch "$name" QUIT "${pg_user[@]}" -- "$pg_bin/postgres" -D "$scratch/$name" -p "$port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 "$@"
}

# The slow ones first: the others start meanwhile.
if wanted localstack; then start_localstack; fi
if wanted seaweedfs; then start_seaweedfs; fi
if wanted ceph; then start_ceph; fi
if wanted garage; then start_garage; fi
if wanted postgres; then start_postgres postgres "$postgres_port"; fi
if wanted postgres-no-fsync; then start_postgres postgres-no-fsync "${ports[10]}" -c fsync=off; fi

# --- Waiting ---------------------------------------------------------------------------------------------------------

# wait_for NAME CMD...: until CMD succeeds; gives up when the server has died or a minute and a half have passed.
wait_for() {
  local name=$1 deadline=$((SECONDS + 90))
  shift
  until "$@" >"$scratch/probe.log" 2>&1; do
    if ! kill -0 "${pids[$name]}" 2>/dev/null || ((SECONDS > deadline)); then
      say "$name did not start; the last try to reach it, then the end of its log:"
      tail -n 5 "$scratch/probe.log" >&2
      tail -n 40 "$scratch/$name.log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

export TEST_PYTHON=$venv/bin/python TEST_CARGO_DENY=$here/.tools/bin/cargo-deny
TEST_ORACLES=$(cd "$here/../tests/oracles" && pwd)
TEST_BROWSER=$(cd "$here/../tests/browser" && pwd)
TEST_CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
TEST_FIREFOX=$(command -v firefox-esr || command -v firefox)
export TEST_ORACLES TEST_BROWSER TEST_CHROMIUM TEST_FIREFOX

# SeaweedFS answers before it can store anything, and LocalStack loads its S3 only when it is asked for: an upload that
# went through shows that a server is ready.
store_something() {
  "$TEST_PYTHON" - "$1" <<'PYTHON'
import os, sys, boto3
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
                  aws_access_key_id=os.environ["TEST_S3_ACCESS_KEY"],
                  aws_secret_access_key=os.environ["TEST_S3_SECRET_KEY"])
if not any(bucket["Name"] == "readiness" for bucket in s3.list_buckets()["Buckets"]):
    s3.create_bucket(Bucket="readiness")
s3.put_object(Bucket="readiness", Key="probe", Body=b"x")
s3.delete_object(Bucket="readiness", Key="probe")
s3.delete_bucket(Bucket="readiness")
PYTHON
}

# The benchmark counts what a server costs, hence the number of its process.
if wanted postgres; then
  export TEST_POSTGRES_URL=postgres://postgres@127.0.0.1:$postgres_port/postgres TEST_POSTGRES_PID=${pids[postgres]}
  wait_for postgres "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$postgres_port"
fi
if wanted postgres-no-fsync; then
  export TEST_POSTGRES_NO_FSYNC_URL=postgres://postgres@127.0.0.1:${ports[10]}/postgres
  export TEST_POSTGRES_NO_FSYNC_PID=${pids[postgres-no-fsync]}
  wait_for postgres-no-fsync "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "${ports[10]}"
fi
if wanted seaweedfs; then
  export TEST_SEAWEEDFS_URL=http://127.0.0.1:$s3_port
  wait_for seaweedfs curl -sSo /dev/null "$TEST_SEAWEEDFS_URL"
  wait_for seaweedfs store_something "$TEST_SEAWEEDFS_URL"
fi
if wanted localstack; then
  export TEST_LOCALSTACK_URL=http://127.0.0.1:$localstack_port
  wait_for localstack curl -fsSo /dev/null "$TEST_LOCALSTACK_URL/_localstack/health"
  wait_for localstack store_something "$TEST_LOCALSTACK_URL"
fi
if wanted ceph; then
  export TEST_CEPH_URL=http://127.0.0.1:${ports[12]}
  wait_for ceph store_something "$TEST_CEPH_URL"
fi
if wanted garage; then
  export TEST_GARAGE_URL=http://127.0.0.1:${ports[14]}
  wait_for garage store_something "$TEST_GARAGE_URL"
fi
say "up after $((SECONDS - started)) s: ${servers[*]}; logs in $scratch"

# --- Running ---------------------------------------------------------------------------------------------------------

# In the background, so that a signal to this script is handled at once and not when CMD ends. A background job would
# ignore Ctrl-C and read nothing; env and <&0 undo that. With a terminal CMD stays in our process group (a shell needs
# that, and Ctrl-C reaches everybody); without one it gets its own, so that its children can be stopped with it.
if [[ -t 0 ]]; then
  env --default-signal=INT,QUIT "$@" <&0 &
  cmd_pid=$! cmd_target=$!
else
  setsid env --default-signal=INT,QUIT "$@" <&0 &
  cmd_pid=$! cmd_target=-$!
fi
status=0
wait "$cmd_pid" || status=$?
cmd_pid=''
exit "$status"
