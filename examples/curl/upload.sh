#!/usr/bin/env bash
# Uploads one file through dropslip: upload.sh FILE
# Needs bash, curl 7.71 or newer and jq. Where the broker is and the token come in DROPSLIP_SERVER and DROPSLIP_TOKEN.
set -euo pipefail
server=${DROPSLIP_SERVER:-http://127.0.0.1:8080}
file=$(realpath -- "$1")
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

fail() { printf '%s: %s\n' "$1" "$2" >&2; exit 1; }

# Runs curl with what stdin says beside these options, writes the body to $answer and prints the status, 000 for none.
# curl itself repeats lost connections, 408, 429 and 5xx, and waits as long as Retry-After says. Token, form and signed
# address come on file descriptor 3 and not as arguments, which everybody on the machine can see.
request() {
  curl -q --silent --show-error --globoff --connect-timeout 10 --retry 3 --retry-all-errors \
    --output "$answer" --write-out '%{http_code}' --config /dev/fd/3 "$@" || true
}

# Steps 1 and 3: JSON, with the token. ask STATUS SECONDS OPTION...: STATUS is what success looks like.
ask() {
  local success=$1 seconds=$2 status
  shift 2
  status=$(request --max-time "$seconds" "$@" 3< <(jq -rn '"header = \("Authorization: Bearer " + env.DROPSLIP_TOKEN | @json)"'))
  [[ $status == "$success" ]] && return
  [[ $status == 409 && $success == 200 ]] && return 9 # nothing there yet
  fail "$file" "$status: $(jq -r '.errors | to_entries | map("\(.key) \(.value | join(", "))") | join("; ")' "$answer" 2>&1)"
}

# Step 2: as the slip says, without the token; the file comes last, from disk.
send() {
  local config
  config=$(jq -r '"url = \(.url | @json)"' <<<"$slip")
  case $(jq -r '.method // "POST"' <<<"$slip") in
    POST)
      config+=$'\n'$(jq -r '.params | to_entries[] | "form-string = \("\(.key)=\(.value)" | @json)"' <<<"$slip")
      # From stdin, so that no character of the file's name means anything to curl.
      request --speed-limit 1 --speed-time 60 --form 'file=@-;filename=file;type=application/octet-stream' 3<<<"$config" <"$file"
      ;;
    PUT)
      config+=$'\n'$(jq -r '.headers | to_entries[] | "header = \("\(.key): \(.value)" | @json)"' <<<"$slip")
      request --speed-limit 1 --speed-time 60 --upload-file "$file" 3<<<"$config"
      ;;
    *) fail "$file" "this script sends a file in one request" ;;
  esac
}

[[ -f $file && -r $file ]] || fail "$file" "cannot be read"
wish=$(jq -n --arg name "$(basename -- "$file")" --argjson size "$(wc -c <"$file")" \
  '{type: "attachment", filename: $name, mimeType: "", size: $size, disposition: "attachment"}')
# The key makes a repeated step 1 answer the same file.
key="$RANDOM-$RANDOM-$RANDOM-$$-$(date +%s)"
ask 201 30 --request POST --header "Idempotency-Key: $key" --data-raw "$wish" "$server/v2/files/ref.json"
slip=$(<"$answer")
id=$(jq .file.id <<<"$slip")

for attempt in 1 2 3 4; do
  status=$(send)
  case $status in
    200 | 201 | 204 | 412) # 412: an earlier try of this PUT did arrive
      # Sealing a large file is a copy inside the store, so this may take minutes.
      if ask 200 330 --request PATCH "$server/v2/files/$id.json"; then
        jq -c .file "$answer"
        exit
      fi
      ;;
    403) # most often the form has expired
      ((attempt < 4)) || break
      ask 201 30 --request POST "$server/v2/files/$id/ref.json"
      slip=$(<"$answer")
      ;;
    000 | 409) ;;
    *) break ;;
  esac
  sleep "$attempt"
done
fail "$file" "$status: $(head -c 2000 "$answer")"
