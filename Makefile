# What people and CI run. Nothing here is needed to build: `cargo run --release` is enough.

.PHONY: test lint format layers bench release instructions screenshot

# What the tests do most of the time is wait: for graces, leases, keyframes.
test: export RUST_TEST_THREADS ?= $(shell echo $$((3 * $$(nproc))))

# What has to hold however media is flushed.
DELIVERY = frames_arrive slow_viewers stalled_viewers streams_start viewers_join viewers_survive

# Installs what is missing where it can, names what it cannot, then runs everything.
test:
	scripts/install-test-tools
	scripts/test-page
	cargo test --workspace
	cargo test --example load
	TEST_FLUSH_INTERVAL=0 cargo test --test server -- $(DELIVERY)
	TEST_FLUSH_INTERVAL=100 cargo test --test server -- $(DELIVERY)

lint: format layers
	cargo clippy --workspace --all-targets -- -D warnings

format:
	cargo fmt --all --check

layers:
	scripts/check-layers

bench:
	cargo bench --workspace

# The server as it is shipped, whatever else this environment compiles with.
release:
	env -u RUSTC_WORKSPACE_WRAPPER -u RUSTFLAGS cargo build --release --bin synctv-stream

# The instructions that a delivered and a published frame cost, against those recorded. Needs valgrind.
instructions: release
	scripts/count-instructions

# The README's picture, as the browser test takes it.
screenshot:
	scripts/install-test-tools
	cargo test --test browser pages_fit
	mkdir -p docs
	cp "$$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/tmp/screenshots/watch-desk-light.png" docs/watch.png
