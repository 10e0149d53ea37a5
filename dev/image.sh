#!/usr/bin/env bash
# Builds the container image and tries it against the test servers, with no more rights than the Kubernetes manifests give it.
#   localstack/with-servers.sh dev/image.sh [TAG]      (`make image`)
# Needs podman or docker, and the images that the Dockerfile begins with: from a registry, or local ones of the same names.
# IMAGE_ENGINE is the engine with its options ("podman --runtime runc"), IMAGE_BUILD_OPTIONS and IMAGE_RUN_OPTIONS are for `build` and `run`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tag=${1:-dropslip:tried}
: "${TEST_POSTGRES_URL:?run me by localstack/with-servers.sh}" "${TEST_SEAWEEDFS_URL:?}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/dropslip-image.XXXXXX")
name=dropslip-tried-$$ address=127.0.0.1:${IMAGE_PORT:-18080} admin=127.0.0.1:$((${IMAGE_PORT:-18080} + 1))

say() { echo "image.sh: $*"; }
fail() {
  say "$1" >&2
  cat "$scratch"/*.log >&2 2>/dev/null || true
  exit 1
}
engine=()
read -ra engine <<<"${IMAGE_ENGINE:-$(command -v podman || command -v docker || true)}"
((${#engine[@]} > 0)) || fail "neither podman nor docker is here"
trap '"${engine[@]}" rm -f "$name" >/dev/null 2>&1 || true; rm -rf "$scratch"' EXIT

read -ra build_options <<<"${IMAGE_BUILD_OPTIONS:-}"
read -ra run_options <<<"${IMAGE_RUN_OPTIONS:-}"
# Without it podman leaves out the HEALTHCHECK, which the format of the OCI does not have.
[[ ${engine[0]} != *podman ]] || build_options+=(--format docker)
commit=$(git -C "$root" rev-parse --short=12 HEAD)
"${engine[@]}" build "${build_options[@]}" --build-arg "COMMIT=$commit" -t "$tag" "$root"
say "built: $("${engine[@]}" image inspect --format '{{.Size}} bytes' "$tag")"

[[ $("${engine[@]}" image inspect --format '{{.Config.User}}' "$tag") == 10001:10001 ]] || fail "it does not run as 10001"

# What deploy/kubernetes/deployment.yaml allows: no write but to /tmp, no capability, no way to more rights.
cut_down=(--network host --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --memory 512m "${run_options[@]}")
in_image() { "${engine[@]}" run --rm "${cut_down[@]}" "$@"; }
in_image "$tag" --version

# On all addresses, with neither bucket nor database set: a token for everybody must not come to be.
if in_image "$tag" >"$scratch/refused.log" 2>&1; then fail "it serves without a bucket on all addresses"; fi
grep -q DROPSLIP_S3_BUCKET "$scratch/refused.log" || fail "it does not say what is missing"
say "refuses to serve everybody without a bucket"

cat >"$scratch/settings" <<EOF
DROPSLIP_LISTEN=$address
DROPSLIP_ADMIN_LISTEN=$admin
DROPSLIP_DATABASE_URL=$TEST_POSTGRES_URL
DROPSLIP_S3_BUCKET=image-tried-$$
DROPSLIP_S3_REGION=us-east-1
DROPSLIP_S3_ENDPOINT=$TEST_SEAWEEDFS_URL
AWS_ACCESS_KEY_ID=$TEST_S3_ACCESS_KEY
AWS_SECRET_ACCESS_KEY=$TEST_S3_SECRET_KEY
EOF
made=$(curl -sS -o "$scratch/bucket.log" -w '%{http_code}' -X PUT --aws-sigv4 aws:amz:us-east-1:s3 --user "$TEST_S3_ACCESS_KEY:$TEST_S3_SECRET_KEY" "$TEST_SEAWEEDFS_URL/image-tried-$$")
[[ $made == 200 ]] || fail "no bucket: $made"
token=$(in_image --env-file "$scratch/settings" "$tag" token create --user 1 2>"$scratch/token.log") || fail "no token"

"${engine[@]}" run -d --name "$name" "${cut_down[@]}" --env-file "$scratch/settings" "$tag" >/dev/null
for _ in {1..100}; do
  curl -fsS "http://$address/readyz" >"$scratch/ready.log" 2>&1 && break
  sleep 0.2
done
"${engine[@]}" logs "$name" >"$scratch/serve.log" 2>&1
curl -fsS "http://$address/readyz" >/dev/null || fail "it is not ready"
curl -fsS "http://$admin/metrics" | grep -q "^dropslip_build_info{.*commit=\"$commit" || fail "it does not tell its commit"
[[ $("${engine[@]}" image inspect --format '{{json .Config.Healthcheck.Test}}' "$tag") == '["CMD","/usr/local/bin/dropslip","health","--live"]' ]] || fail "another HEALTHCHECK"
"${engine[@]}" exec "$name" /usr/local/bin/dropslip health --live || fail "what HEALTHCHECK runs fails"
if "${engine[@]}" exec "$name" sh -c : >/dev/null 2>&1; then fail "there is a shell in it"; fi
"${engine[@]}" exec "$name" dropslip reload || fail "it cannot be told to reload"
process=$("${engine[@]}" inspect --format '{{.State.Pid}}' "$name")
[[ $(grep -E '^(Uid|CapEff|NoNewPrivs)' "/proc/$process/status" | tr -s '\t\n' ' ') == "Uid: 10001 10001 10001 10001 CapEff: 0000000000000000 NoNewPrivs: 1 " ]] \
  || fail "it has more rights than it needs"
say "serves as 10001, without capabilities, on a file system that it cannot write"

head -c 300000 /dev/urandom >"$scratch/some.bin"
chmod 755 "$scratch" && chmod 644 "$scratch/some.bin"
in_image -v "$scratch/some.bin:/some.bin:ro" -e "DROPSLIP_TOKEN=$token" -e "DROPSLIP_SERVER=http://$address" "$tag" \
  upload --json /some.bin >"$scratch/uploaded.json" 2>"$scratch/upload.log" || fail "the upload failed"
[[ $(jq -r '.file.state, .file.size' "$scratch/uploaded.json" | tr '\n' ' ') == "active 300000 " ]] || fail "not active: $(cat "$scratch/uploaded.json")"
say "a file was uploaded and confirmed, by the image's own client"

# PID 1 without an init: it must take the signal itself.
"${engine[@]}" stop -t 50 "$name" >/dev/null
[[ $("${engine[@]}" inspect --format '{{.State.ExitCode}}' "$name") == 0 ]] || fail "it did not stop in good order"
say "stopped in good order; the image is $tag"
