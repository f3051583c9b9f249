# SPDX-License-Identifier: Apache-2.0
# The front door. `make` alone lists the targets; CMake does the building.
# Variables: BUILD (build folder), CMAKE_ARGS (added to CMake's), PYTEST_ARGS, E2E_JOBS, BENCH_ARGS, PYTHON.

BUILD ?= build/release
CMAKE_ARGS ?=
PYTEST_ARGS ?=
# They mostly wait, so that more of them than there are cores run side by side.
E2E_JOBS ?= 4
BENCH_ARGS ?=
# Debian's own: another python3 in front of it in PATH would not have Debian's pytest.
PYTHON ?= /usr/bin/python3
BURROW = $(BUILD)/bin/burrow

DEPS = gcc g++ cmake ninja-build pkg-config libev-dev libwebsockets-dev libwebsockets-evlib-ev \
	libssl-dev libjose-dev libjansson-dev libyaml-dev libcurl4-openssl-dev uthash-dev libcmocka-dev \
	ca-certificates curl openssl python3
DEPS_TEST = python3-pytest python3-pytest-xdist clang python3-websockets python3-cryptography clang-format postgresql \
	postgresql-client redis-server redis-tools nginx-light tinyproxy-bin netcat-openbsd iproute2 abigail-tools nftables
DEPS_BENCH = socat
DEPS_VERIFY = prometheus
DEPS_PACKAGE = debhelper dpkg-dev lintian rpm rpmlint xz-utils buildah podman podman-compose netavark aardvark-dns \
	iptables crun debootstrap systemd systemd-container git
DEPS_CHECK = clang clang-format libclang-rt-14-dev gcovr doxygen valgrind libc6-dbg

ROOT = $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# $(call installed,PACKAGES): installs those of them that are missing, and is silent otherwise.
define installed
	@command -v dpkg-query >/dev/null || { \
	    echo "not Debian: these must be here already: $(1)"; exit 0; }; \
	missing=; for package in $(1); do \
	    dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed \
	        || missing="$$missing $$package"; done; \
	[ -z "$$missing" ] && exit 0; \
	echo "installing:$$missing"; log=$$(mktemp); \
	{ $(ROOT) apt-get -qq update && $(ROOT) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
	    install --no-install-recommends $$missing; } >$$log 2>&1 || { cat $$log; rm $$log; exit 1; }; \
	rm $$log
endef

.PHONY: help
help: ## list the targets
	@echo "burrow: a reverse TCP tunnel. Targets:"; \
	sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	    | while IFS='|' read -r name text; do printf '  %-22s %s\n' "$$name" "$$text"; done

.PHONY: deps deps-test deps-bench deps-check deps-package
deps: ## install what building and the demo need (Debian packages; sudo when not root)
	$(call installed,$(DEPS))

deps-test: deps ## install what the tests need besides
	$(call installed,$(DEPS_TEST))

deps-bench: deps ## install what the bench needs besides
	$(call installed,$(DEPS_BENCH))

deps-check: deps ## install what format and the whole of .ci/run need besides
	$(call installed,$(DEPS_CHECK))

deps-package: deps deps-test ## install what making and trying the packages needs besides
	$(call installed,$(DEPS_PACKAGE))

.PHONY: build build-all configure
configure: deps
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release $(CMAKE_ARGS) >/dev/null

build: configure ## build program and plugins; the program is build/release/bin/burrow
	@cmake --build $(BUILD) --target core/all plugins/all

build-all: configure
	@cmake --build $(BUILD)

.PHONY: demo
demo: build ## see data go through a tunnel: server, client, a local web server and curl
	@$(PYTHON) tests/demo.py --build $(BUILD)

.PHONY: test unit e2e faults
test: unit e2e ## build and run all tests

unit: deps-test build-all ## build and run the unit tests and the rules
	ctest --test-dir $(BUILD) --output-on-failure -j2

e2e: deps-test build-all ## build and run the end-to-end tests
	BURROW_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -p no:cacheprovider tests/e2e -n $(E2E_JOBS) --dist loadgroup $(PYTEST_ARGS)

faults: deps-test build-all ## break networks, processes and limits under load, as root; BURROW_LONG=1: the long form
	BURROW_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -p no:cacheprovider tests/faults $(PYTEST_ARGS)

.PHONY: kube-test kube-api-test
kube-test: deps-test ## run the tests in a real one-node Kubernetes (needs root; builds it once)
	$(PYTHON) -m pytest -p no:cacheprovider tests/kube $(PYTEST_ARGS)

kube-api-test: deps-test build-all ## run those of them that need no more than the real API server (needs root; builds it once)
	KUBE_PART=api BURROW_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -p no:cacheprovider tests/kube $(PYTEST_ARGS)

.PHONY: verify
verify: deps-test build-all ## run the long forms of tests: 1,000 streams under 100 reloads, keys that rotate for minutes, 100 of each fault, 50 kills of a server in Kubernetes (root)
	$(call installed,$(DEPS_VERIFY))
	BURROW_LONG=1 BURROW_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -p no:cacheprovider tests/e2e/test_reload.py tests/e2e/test_jwks.py $(PYTEST_ARGS)
	$(MAKE) faults BURROW_LONG=1
	$(MAKE) kube-test BURROW_LONG=1

# From the committed tree, into build/packages.
.PHONY: package package-test
package: deps-package ## make deb, rpm, bill of materials and container image of the last commit
	packaging/deb/build.sh build/packages/deb
	packaging/rpm/build.sh build/packages/rpm
	$(PYTHON) -B packaging/sbom.py build/packages/deb build/packages/burrow.spdx.json
	@if command -v buildah >/dev/null; then packaging/container/build.sh build/packages/deb build/packages/burrow-oci.tar; \
	else echo "no image: buildah is not here"; fi

package-test: package ## install and run the packages and the image (root: debootstrap, systemd-nspawn)
	$(PYTHON) -m pytest -p no:cacheprovider tests/packages $(PYTEST_ARGS)

.PHONY: bench
bench: deps-bench build-all ## measure direct, socat, ws, wss and tls in one interleaved run
	@$(PYTHON) tests/bench/bench.py --build $(BUILD) $(BENCH_ARGS)
	@$(BUILD)/tests/bench/jwt-bench

.PHONY: abi-update
abi-update: configure ## write tests/abi/table after an announced change of include/burrow
	@cmake --build $(BUILD) --target abi-update

.PHONY: docs
docs: deps-check ## make the reference of include/burrow: build/docs/html and build/docs/man
	@mkdir -p build/docs && doxygen docs/Doxyfile

.PHONY: format clean
format: deps-check ## lay out all C files by .clang-format
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

clean: ## remove what was built
	rm -rf build

# ---- running it from the build -------------------------------------------------------
# Settings come as make variables and go on as BURROW_… variables; an empty one is unset.
# The shell expands them, so that no value is cut at a space or read as make's syntax.

SERVER_ENV = BURROW_SERVER_ADDR="$$SERVER_ADDR" BURROW_TLS_ADDR="$$TLS_ADDR" \
	BURROW_TLS_CERT="$$TLS_CERT" BURROW_TLS_KEY="$$TLS_KEY" \
	BURROW_JWT_HMAC_SECRET="$$JWT_HMAC_SECRET" BURROW_JWT_AUDIENCE="$$JWT_AUDIENCE" \
	BURROW_JWT_ISSUER="$$JWT_ISSUER" BURROW_JWKS_URL="$$JWKS_URL" \
	BURROW_JWT_PUBLIC_KEY_FILE="$$JWT_PUBLIC_KEY_FILE" BURROW_LOG_LEVEL="$$LOG_LEVEL"
CLIENT_ENV = BURROW_SERVER_URL="$$SERVER_URL" BURROW_CLIENT_ID="$$CLIENT_ID" \
	BURROW_LOCAL_TARGET="$$LOCAL_TARGET" BURROW_TOKEN_REFRESH_WINDOW="$$TOKEN_REFRESH_WINDOW" \
	BURROW_LOG_LEVEL="$$LOG_LEVEL"
RUN_VARIABLES = SERVER_ADDR TLS_ADDR TLS_CERT TLS_KEY BRIDGE_HOST JWT_ALG JWT_HMAC_SECRET \
	JWT_AUDIENCE JWT_ISSUER JWKS_URL JWT_PUBLIC_KEY_FILE SERVER_URL CLIENT_ID LOCAL_TARGET BEARER_TOKEN BEARER_TOKEN_FILE \
	TOKEN_REFRESH_WINDOW LOG_LEVEL
export $(RUN_VARIABLES)

# An empty bridge host has a meaning (no bridges), so it goes on only when it was given.
BRIDGE = $(if $(BRIDGE_HOST),BURROW_BRIDGE_HOST="$$BRIDGE_HOST")

.PHONY: run-server run-client run-server-jwt-dev run-client-jwt-dev
run-server: build ## a server: JWKS_URL or JWT_HMAC_SECRET, JWT_ALG, JWT_AUDIENCE, JWT_ISSUER, SERVER_ADDR …
	@$(SERVER_ENV) $(BRIDGE) BURROW_JWT_ALG="$$JWT_ALG" exec $(BURROW) server

run-client: build ## a client: BEARER_TOKEN or BEARER_TOKEN_FILE, CLIENT_ID, LOCAL_TARGET …
	@$(CLIENT_ENV) BURROW_BEARER_TOKEN="$$BEARER_TOKEN" \
	    BURROW_BEARER_TOKEN_FILE="$$BEARER_TOKEN_FILE" exec $(BURROW) client

run-server-jwt-dev: build ## a server for development: JWT_HMAC_SECRET (may be short) …
	@$(SERVER_ENV) $(BRIDGE) BURROW_JWT_ALG=HS256 BURROW_JWT_ALLOW_WEAK_SECRET=true \
	    exec $(BURROW) server

run-client-jwt-dev: build ## a client with a token minted for it: CLIENT_ID, LOCAL_TARGET, JWT_HMAC_SECRET …
	@token=$$(BURROW_JWT_HMAC_SECRET="$$JWT_HMAC_SECRET" BURROW_JWT_AUDIENCE="$$JWT_AUDIENCE" \
	    BURROW_JWT_ISSUER="$$JWT_ISSUER" BURROW_JWT_ALLOW_WEAK_SECRET=true \
	    $(BURROW) token mint --sub "$$CLIENT_ID") || exit $$?; \
	$(CLIENT_ENV) BURROW_BEARER_TOKEN="$$token" exec $(BURROW) client
