# What people and CI run. Nothing here is needed to build: `cargo run --release` is enough.

.PHONY: test lint bench instructions

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

# What a delivered and a published picture cost in instructions, against what was recorded. Needs valgrind.
instructions:
	scripts/count-instructions
