#!/usr/bin/env bash
# Tries dropslip on more stores that check signatures: a Ceph with its RADOS gateway, and Garage.
#   SERVERS="postgres seaweedfs localstack ceph garage" localstack/with-servers.sh dev/stores.sh      (`make stores`)
# What the tests ask of SeaweedFS is asked of each of them, but for what is known to be otherwise there.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${TEST_SEAWEEDFS_URL:?run me by localstack/with-servers.sh}"

# Of all tests those that have to do with a store.
ABOUT_STORES=(check:: companion:: confirm:: cors:: deletion:: desk:: downloads:: evidence:: hammer:: js_client:: multipart:: page:: put:: rotation::
  seaweedfs sweeps:: tampering:: tickets:: unconditional:: upload::command:: uppy::)

# They say what SeaweedFS itself does.
ABOUT_SEAWEEDFS=(check::seaweedfs_lets_fields_through_that_come_to_nothing bucket_events::seaweedfs_confirms_files_whose_clients_vanished)

# Ceph 16 compares no checksum (PATCH does), takes no token beside a signature, and lets no `acl` through, which one of the tests counts on.
OTHERWISE_ON_CEPH=(check::broken::a_missing_right_has_its_own_rows_and_the_others_go_on desk::a_declared_size_and_checksum_bind_the_form put::a_declared_checksum_is_demanded_of_a_put downloads::curl_follows_with_its_token)

# Garage ignores If-None-Match, answers preflights of every origin, has no ListObjectVersions (with which the tests look for leavings), says AccessDenied
# to a wrong secret, and breaks the connection to a part that is too long.
OTHERWISE_ON_GARAGE=(put::a_put_becomes_an_active_file_on_every_store cors::seaweedfs_keeps_the_owners_rules_and_names_every_origin
  check::broken::a_check_that_is_interrupted_leaves_nothing check::broken::a_missing_right_has_its_own_rows_and_the_others_go_on
  check::broken::a_public_endpoint_must_lead_to_the_same_bucket check::broken::a_store_without_post_is_told_which_setting_helps check::broken::what_would_fail_everything_is_said_once
  multipart::seaweedfs_refuses_tampered_urls_of_parts)

# tried URL OTHERWISE...
tried() {
  local url=$1 skipped=() name
  shift
  for name in "${ABOUT_SEAWEEDFS[@]}" "$@"; do skipped+=(--skip "$name"); done
  TEST_SEAWEEDFS_URL=$url cargo test --locked --features failpoints --test it -- --test-threads=4 "${ABOUT_STORES[@]}" "${skipped[@]}"
}

# A file whose client vanished becomes active because Ceph tells of its object, as docs/notifications.md says. In a shell of its own.
notified() {
  local program=target/debug/dropslip secret=cephknowsthissecret address=127.0.0.1:${STORES_PORT:-18084} bucket=told-$$ token slip id state=
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/dropslip-stores.XXXXXX")
  "$TEST_PYTHON" dev/ceph_topic.py "$TEST_CEPH_URL" "$bucket" "http://$secret:x@$address/notifications/s3"
  export DROPSLIP_LISTEN=$address DROPSLIP_DATA_DIR=$scratch DROPSLIP_S3_BUCKET=$bucket DROPSLIP_S3_REGION=us-east-1 \
    DROPSLIP_S3_ENDPOINT=$TEST_CEPH_URL DROPSLIP_NOTIFICATIONS_TOKEN=$secret
  "$program" serve >"$scratch/serve.log" 2>&1 &
  broker=$!
  trap 'kill "$broker"; rm -rf "$scratch"' EXIT
  until curl -fsS "http://$address/readyz" >/dev/null 2>&1; do
    kill -0 "$broker" || { cat "$scratch/serve.log"; exit 1; }
    sleep 0.1
  done
  token=$("$program" token create --user 1 2>/dev/null)
  slip=$(curl -fsS -X POST "http://$address/v2/files/ref.json" -H "Authorization: Bearer $token" \
    -d '{"type":"attachment","filename":"a.txt","mimeType":"text/plain","disposition":"attachment"}')
  id=$(jq -r .file.id <<<"$slip")
  printf hello >"$scratch/a.txt"
  mapfile -t fields < <(jq -r '.params | to_entries[] | "--form-string", "\(.key)=\(.value)"' <<<"$slip")
  curl -fsS "$(jq -r .url <<<"$slip")" "${fields[@]}" -F "file=@$scratch/a.txt" >/dev/null
  for _ in {1..100}; do
    state=$(curl -fsS "http://$address/v2/files/$id.json" -H "Authorization: Bearer $token" | jq -r .file.state)
    [[ $state != active ]] || break
    sleep 0.1
  done
  [[ $state == active ]] || { cat "$scratch/serve.log"; echo "stores.sh: Ceph told of it, and the file is $state"; exit 1; }
  "$program" audit-log --file "$id" | grep -q notification || { echo "stores.sh: it was not the notification"; exit 1; }
  echo "stores.sh: a file became active because Ceph told of it"
}

if [[ -n ${TEST_CEPH_URL:-} ]]; then
  echo "stores.sh: $(radosgw --version)"
  (notified)
  TEST_STORE_LETS_THROUGH='other bytes under the same checksum' tried "$TEST_CEPH_URL" "${OTHERWISE_ON_CEPH[@]}"
fi
if [[ -n ${TEST_GARAGE_URL:-} ]]; then
  echo "stores.sh: $(localstack/.tools/bin/garage --version)"
  tried "$TEST_GARAGE_URL" "${OTHERWISE_ON_GARAGE[@]}"
fi
