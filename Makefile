# The one entry for people and CI. `make` alone lists the targets.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET ?= $(or $(CARGO_TARGET_DIR),target)
# Both programs side by side: megarun looks for megabin beside itself.
DIST := $(TARGET)/dist
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DOCUMENTS := $(TARGET)/documents
HOST := x86_64-unknown-linux-gnu
export CARGO_TERM_COLOR ?= auto
# A workspace of its own: see its Cargo.toml.
KUBERNETES := --manifest-path integration-tests/kubernetes/Cargo.toml

# Static and not position independent: the size of the program then costs a container nothing at its start.
STATIC := -C target-feature=+crt-static -C relocation-model=static
# Names that tell which types a generic function is for: layout.ld lists functions by name.
NAMES := -C symbol-mangling-version=v0

.PHONY: help demo test bench layout lint fmt deny build guests guests-test documents install deb deb-test setup-build clean-guests

help:
	@echo 'make demo      build all, link and sign real programs, and show a container of them live (root)'
	@echo 'make test      every test: unit, vectors, differential, end to end, attacks (root)'
	@echo 'make lint      rustfmt, clippy with warnings denied, cargo-deny'
	@echo 'make deny      cargo-deny: licences, sources and bans of dependencies'
	@echo 'make bench     the table of measurements, beside crun, runc and youki'
	@echo 'make layout    layout.ld again: which functions of megarun lie together (root)'
	@echo 'make build     megarun and megabin, in $(DIST)'
	@echo 'make deb       a Debian package of the same, in $(TARGET)/debian'
	@echo 'make deb-test  that package on a clean Debian, with podman (root)'
	@echo 'make install   programs, manual pages, completions, configuration and drop-ins: $$(DESTDIR), PREFIX=$(PREFIX), SYSCONFDIR=$(SYSCONFDIR)'

# Two invocations: in one, cargo would give megarun the compiler that megabin links.
build:
	@scripts/setup.sh build
	RUSTFLAGS='$(STATIC) $(NAMES)' cargo build --profile shipped --locked -p megarun --target $(HOST)
	cargo build --release --locked -p megabin
	mkdir -p $(DIST)
	install -m 0755 $(TARGET)/$(HOST)/shipped/megarun $(TARGET)/release/megabin $(DIST)/

guests:
	@scripts/setup.sh guests
	guests/build.sh demo

guests-test:
	@scripts/setup.sh test
	guests/build.sh test
	guests/relocs.sh
	for suite in runtime-tools crun runc; do
	  integration-tests/conformance/$$suite/build.sh $(abspath $(TARGET))/tmp/conformance/$$suite
	done

demo: guests build
	@MEGARUN_BIN=$(abspath $(DIST))/megarun MEGABIN_BIN=$(abspath $(DIST))/megabin demo/demo.sh

test: guests-test build
	export MEGARUN_BIN=$(abspath $(DIST))/megarun MEGABIN_BIN=$(abspath $(DIST))/megabin
	export GUESTS_DIR=$(abspath guests)
	cargo test --release --locked --workspace --lib --bins --tests
	cargo test --release --locked $(KUBERNETES)

bench: build
	@scripts/setup.sh bench
	guests/build.sh test
	MEGARUN_BIN=$(abspath $(DIST))/megarun MEGABIN_BIN=$(abspath $(DIST))/megabin \
	GUESTS_DIR=$(abspath guests) TARGET=$(abspath $(TARGET)) bench/run.sh

# Which functions the commands execute: again when many of them have other names. Then build again.
layout: build
	@scripts/setup.sh bench
	MEGARUN_BIN=$(abspath $(DIST))/megarun MEGABIN_BIN=$(abspath $(DIST))/megabin \
	cargo bench --locked -q --workspace --bench layout >$(TARGET)/layout.ld
	mv $(TARGET)/layout.ld layout.ld

lint: deny
	@scripts/setup.sh lint
	cargo fmt --all --check
	cargo fmt --all --check $(KUBERNETES)
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	cargo clippy --release --locked $(KUBERNETES) --all-targets -- -D warnings

# Built once into the target folder where the machine has none; without optimisation, which takes longer than it saves.
deny:
	@if ! command -v cargo-deny >/dev/null && ! [ -x $(TARGET)/tools/bin/cargo-deny ]; then
	  echo 'deny: building cargo-deny once, into $(TARGET)/tools'
	  cargo install --quiet --locked --debug --root $(TARGET)/tools cargo-deny
	fi
	PATH="$$PATH:$(abspath $(TARGET))/tools/bin" cargo deny --all-features --log-level error check bans licenses sources
	PATH="$$PATH:$(abspath $(TARGET))/tools/bin" cargo deny $(KUBERNETES) --log-level error check bans licenses sources

fmt:
	cargo fmt --all
	cargo fmt --all $(KUBERNETES)

# Manual pages and completions, written by the programs with a feature that is not shipped.
documents: build
	@mkdir -p $(DOCUMENTS)
	cargo run --quiet --release --locked -p megarun --features documents -- documents $(DOCUMENTS)
	cargo run --quiet --release --locked -p megabin --features documents -- documents $(DOCUMENTS)

install: documents
	@at=$(DESTDIR)$(PREFIX)
	# The drop-ins name the programs where they are installed.
	place() { install -d "$$(dirname "$$3")"; sed 's|/usr/local/bin|$(PREFIX)/bin|g' "$$2" >"$$3.new"; chmod "$$1" "$$3.new"; mv "$$3.new" "$$3"; }
	install -D -m 0755 -t "$$at/bin" $(DIST)/megarun $(DIST)/megabin
	place 0755 deploy/megarun-native "$$at/bin/megarun-native"
	install -D -m 0644 -t "$$at/share/man/man1" $(DOCUMENTS)/man1/*.1
	install -D -m 0644 -t "$$at/share/bash-completion/completions" $(DOCUMENTS)/bash/*
	install -D -m 0644 -t "$$at/share/zsh/vendor-completions" $(DOCUMENTS)/zsh/*
	install -D -m 0644 -t "$$at/share/fish/vendor_completions.d" $(DOCUMENTS)/fish/*
	for file in $$(cd deploy && find containerd podman docker crio kubernetes -type f); do
	  place "$$(stat -c 0%a deploy/$$file)" "deploy/$$file" "$$at/share/megarun/$$file"
	done
	install -d $(DESTDIR)$(SYSCONFDIR)/megarun/trust
	# A configuration that is there is the operator's.
	for file in config.toml native.toml; do
	  [ -e $(DESTDIR)$(SYSCONFDIR)/megarun/$$file ] || install -m 0644 deploy/$$file $(DESTDIR)$(SYSCONFDIR)/megarun/
	done

# cargo-deb is built once into the target folder where the machine has none.
deb:
	@scripts/setup.sh deb
	if ! command -v cargo-deb >/dev/null && ! [ -x $(TARGET)/tools/bin/cargo-deb ]; then
	  echo 'deb: building cargo-deb once, into $(TARGET)/tools'
	  cargo install --quiet --locked --root $(TARGET)/tools cargo-deb
	fi
	rm -rf $(TARGET)/release/stage
	$(MAKE) install DESTDIR=$(abspath $(TARGET))/release/stage PREFIX=/usr
	PATH="$$PATH:$(abspath $(TARGET))/tools/bin" cargo deb --quiet --no-build --no-strip -p megarun -o $(TARGET)/debian/
	ls $(TARGET)/debian/*.deb

deb-test: deb
	@guests/build.sh demo
	integration-tests/package/try.sh $(TARGET)/debian/megarun_*.deb $(DIST)/megabin guests/.cache/wasm/toybox.wasm \
	  $(abspath $(TARGET))/tmp/package

clean-guests:
	rm -rf guests/.cache
