#!/usr/bin/env bash
# Looks at all dependencies: their licences, versions and sources (deny.toml), and known flaws where the list of those can be reached.
# With DENY_ADVISORIES=must it fails where that cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "deny.sh: $*" >&2; }
deny() { localstack/.tools/bin/cargo-deny --locked "$@"; }

deny check --hide-inclusion-graph licenses bans sources

# Nobody must take an unreachable list for an empty one.
if timeout 60 localstack/.tools/bin/cargo-deny --locked fetch db >/dev/null 2>&1; then
  deny --offline check --hide-inclusion-graph advisories
else
  say "ADVISORIES WERE NOT CHECKED: their database cannot be reached from here"
  [[ ${DENY_ADVISORIES:-} != must ]]
fi
