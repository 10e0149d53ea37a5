#!/usr/bin/env bash
# direct.sh FILE TICKET POST: uploads a file past the broker and puts it on a post of a ticket. Needs curl 7.76 or newer and jq.
set -euo pipefail
server=${DROPSLIP_SERVER:-http://127.0.0.1:8080}/v2
ask() { curl -q -sS --fail-with-body -K <(printf 'header = "Authorization: Bearer %s"' "$DROPSLIP_TOKEN") "$@"; }
wish=$(jq -n --arg name "$(basename -- "$1")" '{type: "attachment", filename: $name, mimeType: "", disposition: "attachment"}')
slip=$(ask "$server/files/ref.json" --data-raw "$wish")
form=$(jq -r '"url = \(.url | @json)", (.params | to_entries[] | "form-string = \("\(.key)=\(.value)" | @json)")' <<<"$slip")
curl -q -sS --fail-with-body -K <(printf '%s' "$form") -F 'file=@-;filename=file' -o /dev/null <"$1"
id=$(jq .file.id <<<"$slip")
ask -X PATCH "$server/files/$id.json" -o /dev/null
ask -X PUT "$server/tickets/$2/files.json" --data-raw "{\"files\": [{\"id\": $id}], \"post\": $3}" | jq '.files[0] | {id, filename, post}'
