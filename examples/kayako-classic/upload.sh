#!/usr/bin/env bash
# upload.sh FILE TICKET POST: attaches a file to a post of a ticket, in Kayako Classic's words. Needs curl 7.76 or newer and OpenSSL.
set -euo pipefail
url=${DROPSLIP_SERVER:-http://127.0.0.1:8080}/api/index.php?e=/Tickets/TicketAttachment
salt=$(openssl rand -hex 16)
signature=$(printf %s "$salt" | openssl dgst -sha256 -hmac "$CLASSIC_SECRET" -binary | base64)
base64 <"$1" | curl -q -sS --fail-with-body "$url" \
  --data-urlencode "apikey=$CLASSIC_KEY" --data-urlencode "salt=$salt" --data-urlencode "signature=$signature" \
  --data-urlencode "ticketid=$2" --data-urlencode "ticketpostid=$3" --data-urlencode "filename=$(basename -- "$1")" \
  --data-urlencode contents@-
