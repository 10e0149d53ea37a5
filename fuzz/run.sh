#!/usr/bin/env bash
# Builds the fuzz targets and runs each for FUZZ_SECONDS (60), or those that FUZZ_TARGETS names. Each begins with fuzz/corpus, which git keeps,
# and with what earlier runs found here: that grows in fuzz/work, outside git. What does not hold is put into fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "fuzz/run.sh: $*" >&2; }

tool=localstack/.tools/bin/cargo-fuzz version=0.13.2
if [[ "$("$tool" --version 2>/dev/null)" != "cargo-fuzz $version" ]]; then
  say "building cargo-fuzz"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root localstack/.tools "cargo-fuzz@$version"
fi

# The same versions as in the program; what is only here is pinned in fuzz/Cargo.toml.
cp Cargo.lock fuzz/Cargo.lock
# No sanitizer: the program has no unsafe code, and coverage by itself needs no nightly compiler.
"$tool" build --sanitizer none --strip-dead-code >&2
built=fuzz/target/$(rustc -vV | sed -n 's/^host: //p')/release
read -ra targets <<<"${FUZZ_TARGETS:-$(cd fuzz/fuzz_targets && echo *.rs | sed 's/\.rs//g')}"

failed=()
for target in "${targets[@]}"; do
  work=fuzz/work/$target kept=fuzz/corpus/$target
  mkdir -p "$work" "$kept" "fuzz/artifacts/$target"
  log=fuzz/work/$target.log
  dictionary=fuzz/dictionaries/$target.txt
  "$built/$target" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
    -artifact_prefix="fuzz/artifacts/$target/" $([[ -e $dictionary ]] && echo "-dict=$dictionary") "$work" "$kept" >"$log" 2>&1 || failed+=("$target")
  runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log") speed=$(sed -n 's/^stat::average_exec_per_sec: //p' "$log")
  first=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log" | head -n 1) last=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  printf '%-16s %10s runs, %7s a second, coverage %5s at first, %5s at last%s\n' \
    "$target" "${runs:-?}" "${speed:-?}" "${first:-?}" "${last:-?}" "$([[ " ${failed[*]-} " == *" $target "* ]] && echo '  FAILED')"
done
if ((${#failed[@]} > 0)); then
  for target in "${failed[@]}"; do
    say "$target does not hold; the input is in fuzz/artifacts/$target, what was said in fuzz/work/$target.log:"
    grep -aE "panicked at|SUMMARY|^ERROR|==ERROR" -A 2 "fuzz/work/$target.log" >&2 || tail -n 20 "fuzz/work/$target.log" >&2
  done
  exit 1
fi
