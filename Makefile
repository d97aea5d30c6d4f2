# Everything a newcomer needs. Cargo commands under these work too.

TARGET := wasm32-unknown-unknown
CARGO ?= cargo

.PHONY: demo test serve lint bench target

## Show the whole story on an embedded database. Ends by itself.
demo: target
	$(CARGO) run --locked --release --package bursar-server --bin bursar -- demo

## Run every test: rules, storage, host, API stories, crashes, the house itself.
test: target
	$(CARGO) test --locked --workspace
	@echo "Every test passed."

## Serve bursar.db on http://127.0.0.1:7777.
serve: target
	$(CARGO) run --locked --release --package bursar-server --bin bursar -- serve

## Format and lints, with warnings as errors.
lint: target
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

## Speed, as ratios.
bench: target
	$(CARGO) bench --locked --package bursar-tests

# Plugins are compiled into the binary, for WebAssembly.
target:
	@test -d "$$(rustc --print target-libdir --target $(TARGET))" || rustup target add $(TARGET)
