#!/usr/bin/env bash
# Starts deploy/systemd's unit by a systemd of its own and tries it against the test servers, installed as docs/operating.md says.
#   localstack/with-servers.sh dev/service.sh [PROGRAM]      (`make service`)
# Needs root and systemd-nspawn (Debian: systemd-container). The container has this machine's /usr, read-only, its network, and all else
# empty and in memory: nothing of it is left, and the systemd of this machine, if there is one, does not see it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-$root/target/release/dropslip}
: "${TEST_POSTGRES_URL:?run me by localstack/with-servers.sh}" "${TEST_SEAWEEDFS_URL:?}"
address=127.0.0.1:${SERVICE_PORT:-18082} admin=127.0.0.1:$((${SERVICE_PORT:-18082} + 1))
bucket=service-tried-$$ scratch='' nspawn=''

say() { echo "service.sh: $*"; }
fail() {
  say "$1" >&2
  [[ -z $scratch ]] || cat "$scratch"/*.log >&2 2>/dev/null || true
  [[ -z $nspawn ]] || in_it journalctl --no-pager -n 40 >&2 2>/dev/null || true
  exit 1
}
end() {
  if [[ -n $nspawn ]]; then
    kill -KILL "$(pgrep -P "$nspawn")" "$nspawn" 2>/dev/null || true
    wait "$nspawn" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
((EUID == 0)) || fail "only root may start a systemd"
command -v systemd-nspawn >/dev/null || fail "systemd-nspawn is not here (Debian: systemd-container)"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/dropslip-service.XXXXXX")
trap end EXIT

# within SECONDS COMMAND...
within() {
  local until=$((SECONDS + $1))
  shift
  until "$@" >"$scratch/last.log" 2>&1; do
    ((SECONDS < until)) || return 1
    sleep 0.2
  done
}
ready() { curl -fsS "http://$address/readyz"; }
in_it() { nsenter -t "$(pgrep -P "$nspawn")" -m -u -i -p -- "$@"; }
property() { in_it systemctl show --value -p "$1" dropslip; }

mkdir "$scratch/bin"
install -m 755 "$program" "$scratch/bin/dropslip"
# With an identity it is no first boot, which would ask questions and enable all that is in /usr.
tr -d - </proc/sys/kernel/random/uuid >"$scratch/machine-id"
systemd-nspawn -D / --volatile=yes --boot --register=no --keep-unit --machine="dropslip-$$" --console=read-only \
  --bind-ro="$scratch/bin:/usr/local/bin" --bind-ro="$scratch/machine-id:/etc/machine-id" --bind-ro="$root/deploy:/srv/deploy" </dev/null >"$scratch/boot.log" 2>&1 &
nspawn=$!
within 60 in_it systemctl is-active multi-user.target || fail "the container's systemd does not come up"
: >"$scratch/boot.log"

# --- Installed by the guide ------------------------------------------------------------------------------------------

in_it bash -eu <<INSTALL || fail "it is not installed as the guide says"
cd /srv
mkdir -p /etc/systemd/system # every machine with systemd has it
install -D -m 644 deploy/systemd/dropslip.toml /etc/dropslip/dropslip.toml
install -D -m 600 deploy/systemd/dropslip.env.example /etc/dropslip/dropslip.env
install -m 600 /dev/stdin /etc/dropslip/aws-credentials <<AWS
[default]
aws_access_key_id = $TEST_S3_ACCESS_KEY
aws_secret_access_key = $TEST_S3_SECRET_KEY
AWS
install -m 644 deploy/systemd/dropslip.service /etc/systemd/system/
groupadd --system dropslip-secrets
install -D -m 644 deploy/systemd/secrets.conf /etc/systemd/system/dropslip.service.d/secrets.conf
install -d -m 750 -g dropslip-secrets /etc/dropslip/secrets
: | install -m 640 -g dropslip-secrets /dev/stdin /etc/dropslip/secrets/tokens.toml

# What the guide says to set, for the test servers.
sed -i 's|^listen = .*|listen = "$address"|; s|^admin_listen = .*|admin_listen = "$admin"|; s|^public_url = .*|public_url = "http://$address"|
  s|^s3_bucket = .*|s3_bucket = "$bucket"|; s|^s3_region = .*|s3_region = "us-east-1"|' /etc/dropslip/dropslip.toml
printf '%s\n' 's3_endpoint = "$TEST_SEAWEEDFS_URL"' 'tokens_file = "/etc/dropslip/secrets/tokens.toml"' >>/etc/dropslip/dropslip.toml
sed -i 's|^DROPSLIP_DATABASE_URL=.*|DROPSLIP_DATABASE_URL=$TEST_POSTGRES_URL|; s|^DROPSLIP_SECRETS=.*|DROPSLIP_SECRETS=$(openssl rand -hex 32)|' /etc/dropslip/dropslip.env
INSTALL
made=$(curl -sS -o "$scratch/bucket.log" -w '%{http_code}' -X PUT --aws-sigv4 aws:amz:us-east-1:s3 --user "$TEST_S3_ACCESS_KEY:$TEST_S3_SECRET_KEY" "$TEST_SEAWEEDFS_URL/$bucket")
[[ $made == 200 ]] || fail "no bucket: $made"
in_it systemctl daemon-reload
in_it systemctl enable --now dropslip 2>"$scratch/enable.log" || fail "it does not start"
within 20 ready || fail "it is not ready"
say "started by systemd $(systemctl --version | awk 'NR == 1 { print $2 }') and ready, with PostgreSQL"

# --- What it may ------------------------------------------------------------------------------------------------------

# The process, as this machine sees it; there may be others of that name outside the container.
main() { pgrep --ns "$(pgrep -P "$nspawn")" --nslist pid -f -x "/usr/local/bin/dropslip serve --config /etc/dropslip/dropslip.toml"; }
status=$(grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$(main)/status" | tr -s '\t\n' ' ')
[[ $status =~ ^"Uid: "([0-9]+)" "[0-9\ ]+" CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 "$ ]] || fail "it has other rights than it needs: $status"
((BASH_REMATCH[1] >= 61184 && BASH_REMATCH[1] <= 65519)) || fail "it has no user of its own: $status"
grep -qE '^Max core file size +0 +0 ' "/proc/$(main)/limits" || fail "it may leave a core dump: $(grep core "/proc/$(main)/limits")"
if nsenter -t "$(main)" -m -- touch /etc/dropslip/written 2>/dev/null; then fail "it could write /etc"; fi
say "it serves as a user of its own, ${BASH_REMATCH[1]}, without capabilities, calls filtered, files read-only, no core dumps"

# --- A token by reload, an upload, a death, a stop ----------------------------------------------------------------------

token=$("$program" token create --print-only --user 7 2>"$scratch/entry.toml") || fail "no token"
in_it install -m 640 -g dropslip-secrets /dev/stdin /etc/dropslip/secrets/tokens.toml <"$scratch/entry.toml"
in_it systemctl reload dropslip || fail "it cannot be told to reload"
listed() { curl -fsS -H "Authorization: Bearer $token" "http://$address/v2/files.json"; }
within 10 listed || fail "it does not take the token of the file that was read again"
head -c 300000 /dev/urandom >"$scratch/some.bin"
# upload: by the program itself, told of nothing but server and token
upload() { DROPSLIP_TOKEN=$token DROPSLIP_SERVER=http://$address "$program" upload --json "$scratch/some.bin" 2>"$scratch/upload.log"; }
uploaded() { [[ $(upload | jq -r '.file.state, .file.size' | tr '\n' ' ') == "active 300000 " ]]; }
uploaded || fail "the upload failed"
say "took a token by reload, and a file was uploaded and confirmed"

before=$(main) || fail "it does not run any more"
kill -KILL "$before"
again() { [[ -n $(main) && $(main) != "$before" ]] && ready; }
within 20 again || fail "it is not started again"
say "killed, it was started again"

# Its state directory, of a user that changes: what SQLite wrote is there after a restart.
in_it sed -i 's|^DROPSLIP_DATABASE_URL=.*|DROPSLIP_DATABASE_URL=sqlite:/var/lib/dropslip/dropslip.db|' /etc/dropslip/dropslip.env
for round in first second; do
  in_it systemctl restart dropslip
  within 20 ready || fail "it is not ready with SQLite, $round start"
  uploaded || fail "the upload failed with SQLite, $round start"
done
[[ $(listed | jq '.files | length') == 2 ]] || fail "SQLite's files did not outlive a restart"
say "and with SQLite in its state directory"

in_it systemctl stop dropslip
[[ "$(property Result) $(property ExecMainStatus)" == "success 0" ]] || fail "it did not stop in good order"
[[ -z $(main) ]] || fail "it runs on"
say "stopped in good order"
