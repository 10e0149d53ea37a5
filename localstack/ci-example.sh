#!/usr/bin/env bash
# An upload from end to end, as a CI job does it: bucket, CORS, lifecycle, dropslip, upload, confirm.
#   localstack/ci-example.sh [--store STORE] [PATH_OF_DROPSLIP]
# STORE is localstack (started here, without Docker; the default), embedded (the store inside dropslip), or the address of
# an S3 store that is there already, such as a service container. Needs bash, curl 7.75 or newer, jq and openssl; for
# localstack also Python 3.11. It takes free ports, and takes away what it made when it ends.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
store=localstack
if [[ ${1:-} == --store ]]; then
  store=$2
  shift 2
fi
dropslip=$(realpath -m -- "${1:-$(command -v dropslip || echo "$here/../target/release/dropslip")}")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/dropslip-ci.XXXXXX")
pids=() serving=''

say() { echo "ci-example.sh: $*"; }
fail() {
  say "$1" >&2
  tail -n 20 "$scratch"/*.log >&2 2>/dev/null || true
  exit 1
}

clean_up() {
  trap '' INT TERM HUP
  [[ -z $serving ]] || { kill "$serving" && wait "$serving"; } 2>/dev/null || true
  empty_bucket >/dev/null 2>&1 || true
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  for _ in {1..100}; do # what does not stop by itself
    [[ -n $(jobs -pr) ]] || break
    sleep 0.1
  done
  kill -KILL "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A store that was there before stays clean.
made_bucket=''
empty_bucket() {
  [[ -n $made_bucket ]] || return 0
  local key
  s3 GET "/$made_bucket?list-type=2" | grep -o '<Key>[^<]*' | while read -r key; do s3 DELETE "/$made_bucket/${key#<Key>}"; done
  s3 DELETE "/$made_bucket"
}

# until_says SECONDS WHAT CMD...: until CMD succeeds.
until_says() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "$what does not answer"
    [[ -z $serving ]] || kill -0 "$serving" 2>/dev/null || fail "$what ended"
    sleep 0.2
  done
}

[[ -x $dropslip ]] || fail "no dropslip at $dropslip: build it, or name it as the first argument"

# LocalStack takes any; a store that checks must know them: those of compose.yaml, unless the environment has others.
export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-dropslip-test-key} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-dropslip-test-secret}
export AWS_EC2_METADATA_DISABLED=true
region=us-east-1

# --- The store -------------------------------------------------------------------------------------------------------

start_localstack() {
  python=$here/.venv/bin/python
  if [[ ! -x $python ]]; then
    say "making localstack/.venv (about a minute)"
    "$(command -v python3.11 || command -v python3)" -m venv "$here/.venv"
    "$here/.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt"
  fi
  port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  mkdir "$scratch/localstack"
  env -i -C "$scratch" PATH="$PATH" HOME="$scratch" TMPDIR="$scratch" LANG=C.UTF-8 SERVICES=s3 GATEWAY_LISTEN="127.0.0.1:$port" \
    LOCALSTACK_HOST="127.0.0.1:$port" FILESYSTEM_ROOT="$scratch/localstack" OVERRIDE_IN_DOCKER=0 DNS_ADDRESS=0 DISABLE_EVENTS=1 \
    SKIP_SSL_CERT_DOWNLOAD=1 "$python" "$here/start_localstack.py" >"$scratch/localstack.log" 2>&1 &
  pids+=($!)
  store=http://127.0.0.1:$port
  until_says 90 LocalStack curl -fsS "$store/_localstack/health"
  say "LocalStack is up at $store"
}

# s3 METHOD PATH [FILE]: one signed request to the store; the AWS command line would do as well.
s3() {
  local body=${3:-/dev/null}
  curl -q -fsS --globoff --request "$1" --aws-sigv4 "aws:amz:$region:s3" \
    --config <(printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY") \
    --header "x-amz-content-sha256: $(sha256sum "$body" | cut -d ' ' -f 1)" --header "Content-MD5: $(openssl md5 -binary "$body" | base64)" \
    --data-binary "@$body" --header 'Content-Type: application/xml' "$DROPSLIP_S3_ENDPOINT$2"
}

prepare_bucket() {
  export DROPSLIP_S3_ENDPOINT=$store DROPSLIP_S3_BUCKET=dropslip-ci-$$-$RANDOM DROPSLIP_S3_REGION=$region
  until_says 30 "$DROPSLIP_S3_ENDPOINT" s3 GET /
  s3 PUT "/$DROPSLIP_S3_BUCKET" || fail "the bucket cannot be made"
  made_bucket=$DROPSLIP_S3_BUCKET
  say "made the bucket $made_bucket"

  # The pages of these origins may send forms (POST) and files (PUT).
  cat >"$scratch/cors.xml" <<XML
<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule><AllowedOrigin>$DROPSLIP_CORS_ORIGINS</AllowedOrigin>
<AllowedMethod>POST</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>
<MaxAgeSeconds>600</MaxAgeSeconds></CORSRule></CORSConfiguration>
XML
  s3 PUT "/$DROPSLIP_S3_BUCKET?cors=" "$scratch/cors.xml" || fail "the bucket takes no CORS rules"
  allowed=$(curl -q -fsS --request OPTIONS --header "Origin: $DROPSLIP_CORS_ORIGINS" --header 'Access-Control-Request-Method: POST' \
    --dump-header - --output /dev/null "$DROPSLIP_S3_ENDPOINT/$DROPSLIP_S3_BUCKET/temp/preflight") || fail "no answer to a preflight"
  grep -qiE "^access-control-allow-origin: ([*]|$DROPSLIP_CORS_ORIGINS)" <<<"$allowed" || fail "CORS does not let $DROPSLIP_CORS_ORIGINS in: $allowed"
  say "CORS lets $DROPSLIP_CORS_ORIGINS in"
  "$dropslip" lifecycle apply >lifecycle.txt 2>lifecycle.log || fail "the lifecycle rule cannot be set"
  s3 GET "/$DROPSLIP_S3_BUCKET?lifecycle=" | grep -q 'temp/' || fail "the bucket has no rule for temp/"
  say "forgotten uploads expire by a lifecycle rule on temp/"
}

cd "$scratch"
export DROPSLIP_LISTEN=127.0.0.1:0 DROPSLIP_DATA_DIR=$scratch/data DROPSLIP_CORS_ORIGINS=https://app.example.com
if [[ $store == embedded ]]; then
  export DROPSLIP_EMBEDDED_S3_LISTEN=127.0.0.1:0
else
  [[ $store != localstack ]] || start_localstack
  prepare_bucket
fi

# --- dropslip --------------------------------------------------------------------------------------------------------

"$dropslip" serve >serve.txt 2>serve.log &
serving=$!
until_says 60 dropslip grep -q '^dropslip listens on ' serve.txt
DROPSLIP_SERVER=$(sed -n 's/^dropslip listens on //p' serve.txt | head -n 1)
export DROPSLIP_SERVER
curl -q -fsS --output /dev/null "$DROPSLIP_SERVER/readyz" || fail "dropslip is not ready"
DROPSLIP_TOKEN=$("$dropslip" token create --user 1 2>token.log) || fail "no token"
export DROPSLIP_TOKEN
say "dropslip is up at $DROPSLIP_SERVER"

# --- Uploads ---------------------------------------------------------------------------------------------------------

# Here is where your own tests go: they find the broker in DROPSLIP_SERVER and a token in DROPSLIP_TOKEN.

# is_active ID SIZE
is_active() {
  curl -q -fsS --header @- "$DROPSLIP_SERVER/v2/files/$1.json" <<<"Authorization: Bearer $DROPSLIP_TOKEN" |
    jq -e --argjson size "$2" '.file | .state == "active" and .size == $size' >/dev/null || fail "file $1 is not active with $2 bytes"
}

head -c 1000000 /dev/urandom >'by the command line.bin'
"$dropslip" upload --json 'by the command line.bin' >upload.json 2>upload.log || fail "dropslip upload failed"
is_active "$(jq .file.id upload.json)" 1000000
say "uploaded with dropslip upload, confirmed, active"

echo 'Hello, dropslip!' >'by curl.txt'
"$here/../examples/curl/upload.sh" 'by curl.txt' >curl.json 2>curl.log || fail "the upload with curl failed"
is_active "$(jq .id curl.json)" 17
say "uploaded with curl, confirmed, active"

# A good form lets nothing else in, on a store that checks; LocalStack takes anything.
slip=$(curl -q -fsS --header @- --data '{"type":"attachment","filename":"a.txt","mimeType":"text/plain"}' "$DROPSLIP_SERVER/v2/files/ref.json" \
  <<<"Authorization: Bearer $DROPSLIP_TOKEN")
if [[ $(jq -r '.method // "POST"' <<<"$slip") == POST ]]; then
  status=$(jq -r '.params["x-amz-signature"] = ("0" * 64) | .params | to_entries[] | "form-string = \("\(.key)=\(.value)" | @json)"' <<<"$slip" |
    curl -q -sS --config - --form file=@'by curl.txt' --output /dev/null --write-out '%{http_code}' "$(jq -r .url <<<"$slip")")
  case $status in
    2*) say "WARNING: this store took a form with a made-up signature, so this job proves nothing about signatures" ;;
    403) say "this store refused a form with a made-up signature" ;;
    *) fail "a form with a made-up signature is answered with $status" ;;
  esac
fi

"$dropslip" audit >audit.txt 2>audit.log || fail "the audit found something"
say "done"
