# What people and CI run. Nothing here is needed to build: `cargo run --release` is enough.

.PHONY: test lint bench

# Installs what is missing where it can, names what it cannot, then runs everything.
test:
	scripts/install-test-tools
	cargo test --workspace

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/check-layers

bench:
	cargo bench --workspace
