.DEFAULT_GOAL := help
.PHONY: help run test lint deny fuzz screenshots bench scale fairness soak image service stores

# The AWS client and SQLite hold C code; without this, cargo's own message comes minutes into the build.
define need_cc
	@command -v cc >/dev/null || { echo "No C compiler (cc) here. On Debian: apt-get install build-essential pkg-config"; exit 1; }
endef

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 16

run: ## start dropslip here, with a bucket and a database of its own
	$(need_cc)
	@echo "Building dropslip with optimizations; the first time this takes some minutes."
	cargo run --release --locked -- serve

test: ## every test, against LocalStack, SeaweedFS and PostgreSQL (installs what is missing)
	localstack/setup.sh
	dev/deny.sh
	cargo test --locked --doc
	localstack/with-servers.sh cargo test --locked --features failpoints --lib --bins --test it

lint: ## formatting, clippy and the documentation, warnings denied
	$(need_cc)
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features failpoints -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

deny: ## licences, versions and sources of all dependencies, and known flaws where their list can be reached
	$(need_cc)
	localstack/setup.sh
	dev/deny.sh

fuzz: ## every parser that sees bytes from outside, a minute each (FUZZ_SECONDS, FUZZ_TARGETS)
	$(need_cc)
	fuzz/run.sh

screenshots: ## the pictures of the upload page in docs/screenshots
	localstack/setup.sh
	cargo build --locked
	TEST_CHROMIUM=$$(command -v chromium || command -v chromium-browser || command -v google-chrome) node tests/browser/screenshots.mjs

soak: ## ten minutes of random clients and kills on PostgreSQL and SeaweedFS, then an audit (SOAK_SECONDS, SOAK_SEED)
	localstack/setup.sh
	localstack/with-servers.sh cargo test --locked --test soak

# In /var/tmp, where Debian has a disk and not memory, and which the user postgres can reach.
bench: bench_as = $(if $(filter debug,$(BENCH_PROFILE)),--profile dev)
bench: ## speed, memory and size beside a floor, a quarter of an hour, into BENCHMARKS.md (BENCH_SECTIONS and more: bench/run.py)
	$(need_cc)
	localstack/setup.sh wrk eatmydata
	cargo build --locked $(or $(bench_as),--release) --bins --examples
	cargo bench --locked $(bench_as) --bench step1 --no-run
	TMPDIR=$${BENCH_TMPDIR:-/var/tmp} SERVERS="postgres postgres-no-fsync" localstack/with-servers.sh bench/run.py

scale: scale_as = $(if $(filter debug,$(SCALE_PROFILE)),--profile dev)
scale: ## ten million files on each database beside few, a quarter of an hour, into BENCHMARKS.md (SCALE_FILES and more: bench/scale.py)
	$(need_cc)
	localstack/setup.sh wrk
	cargo build --locked $(or $(scale_as),--release) --bins --examples
	TMPDIR=$${SCALE_TMPDIR:-/var/tmp} SERVERS=postgres localstack/with-servers.sh bench/scale.py

fairness: fairness_as = $(if $(filter debug,$(FAIRNESS_PROFILE)),--profile dev)
fairness: ## lists of one tenant beside abandoned searches of another, into BENCHMARKS.md (FAIRNESS_FILES and more: bench/fairness.py)
	$(need_cc)
	localstack/setup.sh
	cargo build --locked $(or $(fairness_as),--release) --bins
	TMPDIR=$${FAIRNESS_TMPDIR:-/var/tmp} SERVERS=postgres localstack/with-servers.sh bench/fairness.py

image: ## the container image, built and tried by podman or docker (IMAGE_ENGINE, IMAGE_BUILD_OPTIONS: dev/image.sh)
	localstack/setup.sh
	SERVERS="postgres seaweedfs" localstack/with-servers.sh dev/image.sh $(IMAGE_TAG)

garage_version = 2.5.0
stores: ## more stores that check signatures: Ceph and Garage, tried by the tests about stores; for Debian (STORES)
	$(need_cc)
	localstack/setup.sh ceph ceph-mon ceph-osd radosgw
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root localstack/.tools garage@$(garage_version)
	SERVERS="postgres seaweedfs localstack $(or $(STORES),ceph garage)" localstack/with-servers.sh dev/stores.sh

service: ## the systemd unit, started and tried by a systemd of its own; for root (dev/service.sh)
	$(need_cc)
	localstack/setup.sh systemd-nspawn
	cargo build --locked --release
	SERVERS="postgres seaweedfs" localstack/with-servers.sh dev/service.sh
