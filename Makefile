# The one entry for people and CI. `make` alone lists the targets.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET ?= $(or $(CARGO_TARGET_DIR),target)
# Both programs side by side: megarun looks for megabin beside itself.
DIST := $(TARGET)/dist
PREFIX ?= /usr/local
HOST := x86_64-unknown-linux-gnu
export CARGO_TERM_COLOR ?= auto
# A workspace of its own: see its Cargo.toml.
KUBERNETES := --manifest-path integration-tests/kubernetes/Cargo.toml

# Static and not position independent: the size of the program then costs a container nothing at its start.
STATIC := -C target-feature=+crt-static -C relocation-model=static

.PHONY: help demo test bench lint fmt deny build guests guests-test install setup-build clean-guests

help:
	@echo 'make demo      build all, link and sign real programs, and show a container of them live (root)'
	@echo 'make test      every test: unit, vectors, differential, end to end, attacks (root)'
	@echo 'make lint      rustfmt, clippy with warnings denied, cargo-deny'
	@echo 'make deny      cargo-deny: licences, sources and bans of dependencies'
	@echo 'make bench     the table of measurements, beside crun and runc'
	@echo 'make build     megarun and megabin, in $(DIST)'
	@echo 'make install   both into $$(DESTDIR)$$(PREFIX)/bin ($(PREFIX))'

# Two invocations: in one, cargo would give megarun the compiler that megabin links.
build:
	@scripts/setup.sh build
	RUSTFLAGS='$(STATIC)' cargo build --release --locked -p megarun --target $(HOST)
	cargo build --release --locked -p megabin
	mkdir -p $(DIST)
	install -m 0755 $(TARGET)/$(HOST)/release/megarun $(TARGET)/release/megabin $(DIST)/

guests:
	@scripts/setup.sh guests
	guests/build.sh demo

guests-test:
	@scripts/setup.sh test
	guests/build.sh test
	guests/relocs.sh

demo: guests build
	@MEGARUN_BIN=$(abspath $(DIST))/megarun MEGABIN_BIN=$(abspath $(DIST))/megabin demo/demo.sh

test: guests-test build
	export MEGARUN_BIN=$(abspath $(DIST))/megarun MEGABIN_BIN=$(abspath $(DIST))/megabin
	export GUESTS_DIR=$(abspath guests)
	cargo test --release --locked --workspace --lib --bins --tests
	cargo test --release --locked $(KUBERNETES)

bench: guests build
	@scripts/setup.sh bench
	MEGARUN_BIN=$(abspath $(DIST))/megarun MEGABIN_BIN=$(abspath $(DIST))/megabin \
	GUESTS_DIR=$(abspath guests) TARGET=$(abspath $(TARGET)) bench/run.sh

lint: deny
	@scripts/setup.sh lint
	cargo fmt --all --check
	cargo fmt --all --check $(KUBERNETES)
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	cargo clippy --release --locked $(KUBERNETES) --all-targets -- -D warnings

# Built once into the target folder where the machine has none.
deny:
	@if ! command -v cargo-deny >/dev/null && ! [ -x $(TARGET)/tools/bin/cargo-deny ]; then
	  echo 'deny: building cargo-deny once, into $(TARGET)/tools'
	  cargo install --quiet --locked --root $(TARGET)/tools cargo-deny
	fi
	PATH="$$PATH:$(abspath $(TARGET))/tools/bin" cargo deny --all-features --log-level error check bans licenses sources
	PATH="$$PATH:$(abspath $(TARGET))/tools/bin" cargo deny $(KUBERNETES) --log-level error check bans licenses sources

fmt:
	cargo fmt --all
	cargo fmt --all $(KUBERNETES)

install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(DIST)/megarun $(DIST)/megabin $(DESTDIR)$(PREFIX)/bin/

clean-guests:
	rm -rf guests/.cache
