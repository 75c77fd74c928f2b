# For a Debian machine with git, make and a Rust toolchain, as root. Each target installs what it lacks through apt and
# says so; running one twice is as good as once.
#
#   make demo        build muster, which builds the example's images and brings the guest book up
#   make demo-down   take the guest book down; its entries stay (make demo-down VOLUMES=1 takes them too)
#   make test        all tests, then a look at what is left on the machine
#   make bench       times beside docker compose, and of pulls and builds beside docker (podman, skopeo, buildah, where they are installed)
#   make clean       remove what was built

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

CARGO := $(or $(shell command -v cargo),$(HOME)/.cargo/bin/cargo)
# Without a C compiler: ring, the TLS of image pulls, has a few C files, and every binary is linked by cc.
BUILD_PACKAGES := $(if $(shell command -v cc),,gcc libc6-dev)
# Repositories as build contexts; it may be there without being a package.
GIT := $(if $(shell command -v git),,git)
HOST := $(shell $(dir $(CARGO))rustc -vV 2>/dev/null | sed -n 's/^host: //p')
MUSTER := $(CURDIR)/target/$(HOST)/release/muster
GUESTBOOK_PORT ?= 8080
# Not for the tests, which choose a port of their own.
demo demo-down: export GUESTBOOK_PORT := $(GUESTBOOK_PORT)

.PHONY: demo demo-down test bench release clean root

demo: root release examples/guestbook/secrets/db_password
	cd examples/guestbook && $(MUSTER) -f compose.yaml -f debian.yaml up -d --wait
	@echo
	@echo "The guest book is open: http://localhost:$(GUESTBOOK_PORT)/"
	@echo
	@echo "Try, in examples/guestbook (muster is $(MUSTER)):"
	@echo "  muster ps                            what runs, and how well"
	@echo "  muster logs -f                       what it says"
	@echo "  muster exec db psql -U guestbook     a session with the database"
	@echo "  muster exec db kill -QUIT 1          crash the database: muster ps shows it come back"
	@echo "  muster plan                          what up would do now, and why"
	@echo "  muster down                          take it all away but the entries (-v: those too)"

demo-down: root release
	cd examples/guestbook && $(MUSTER) down $(if $(VOLUMES),-v)

test: root
	scripts/packages.sh $(BUILD_PACKAGES) $(GIT) busybox-static bzip2 iproute2 mmdebstrap mount nftables openssh-client openssl xz-utils
	scripts/packages.sh --unpack .cache/tools docker-registry
	tests/audit.sh take .cache/audit
	tests/guestbook-images.sh
	RUST_TEST_THREADS=2 $(CARGO) test --locked
	tests/audit.sh compare .cache/audit

bench: root release
	tests/bench/peer.sh
	tests/bench/compare.sh -m $(MUSTER) -o .cache/bench/table.md
	scripts/packages.sh --unpack .cache/tools docker-registry
	scripts/packages.sh python3
	tests/bench/pull.sh -m $(MUSTER) -o .cache/bench/pull.md
	tests/bench/pull.sh -a -m $(MUSTER) -o .cache/bench/pull-guarded.md
	tests/bench/build.sh -m $(MUSTER) -o .cache/bench/build.md

release:
	$(if $(BUILD_PACKAGES),scripts/packages.sh $(BUILD_PACKAGES))
	$(CARGO) build --release --locked

# Readable inside the containers, whose programs do not run as root; the directory keeps everybody else out.
examples/guestbook/secrets/db_password:
	install -d -m 700 $(@D)
	head -c 24 /dev/urandom | base64 >$@
	chmod 444 $@

root:
	@[ "$$(id -u)" = 0 ] || { echo "make $(MAKECMDGOALS) must run as root: containers, networks and apt need it" >&2; exit 1; }
	@[ -x "$(CARGO)" ] || { echo "cargo is not there: install a Rust toolchain first (rustup)" >&2; exit 1; }

clean:
	rm -rf target .cache
