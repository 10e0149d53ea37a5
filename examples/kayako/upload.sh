#!/usr/bin/env bash
# upload.sh FILE: uploads a file past the broker, in Kayako's words. Needs curl 7.76 or newer and jq.
set -euo pipefail
files=${DROPSLIP_SERVER:-http://127.0.0.1:8080}/api/v1/files
ask() { curl -q -sS --fail-with-body -K <(printf 'header = "Authorization: Bearer %s"' "$DROPSLIP_TOKEN") "$@"; }
wish=$(jq -n --arg name "$(basename -- "$1")" --argjson size "$(wc -c <"$1")" '{$name, $size}')
slip=$(ask "$files/ref.json" -H 'Content-Type: application/json' --data-raw "$wish")
form=$(jq -r '.data | "url = \(.url | @json)", (.fields | to_entries[] | "form-string = \("\(.key)=\(.value)" | @json)")' <<<"$slip")
curl -q -sS --fail-with-body -K <(printf '%s' "$form") -F 'file=@-;filename=file' -o /dev/null <"$1"
ask -X PUT "$files/$(jq .data.file.id <<<"$slip").json?fields=id,name,size,content_type,expiry_at"
