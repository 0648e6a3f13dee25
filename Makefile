# What there is to do with this repository. `make` alone lists it.
# The packages that a step needs are installed with apt when they are missing; Swift itself is not.

BUILD_PACKAGES := libssl-dev zlib1g-dev
TEST_PACKAGES := $(BUILD_PACKAGES) ca-certificates curl gcc iproute2 libc6-dev nghttp2-client nginx-light openssl python3 python3-venv strace
# Every release build has these, so that none undoes another's work.
RELEASE := swift build $(shell sed '/^\#/d' deploy/image/options)
DIST_PACKAGES := binutils buildah ca-certificates dpkg-dev git gzip libc6-dev python3
YAML_VENV := Tests/Support/.venv
HTTP2_VENV := out/http2-venv

.DEFAULT_GOAL := help
.PHONY: help demo build release static image deb dist dist-check static-test release-check release-test test unit-test yaml-test http2-test embedding-test end-to-end-test chart-test rollout-test deb-test test-deploy docs docs-test conformance conformance-quick \
	attack-test fault-test mutation-test fresh-test fuzz bench bench-quick bench-record gates soak sanitize sanitize-thread lint clean swift build-packages \
	test-packages
# Two builds would wait for each other.
.NOTPARALLEL:

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-18s %s\n' "$$name" "$$text"; done

# The debug build is ready sooner than the release build, and the tests use it too.
demo: swift build-packages ## build, then run the whole path once on this machine, and again with a provisioned tunnel
	swift build --product mcp-proxy
	swift build --product setup
	swift build --product tunnels-api-fake
	@.build/debug/mcp-proxy demo
	@Tests/Support/setup-demo

build: swift build-packages ## debug build of everything but the tests
	swift build

release: swift build-packages ## .build/release/mcp-proxy and setup, which need no Swift where they run
	@Tests/Support/need binutils
	$(RELEASE) --product mcp-proxy
	$(RELEASE) --product setup
	Tests/Support/check-binaries .build/release/mcp-proxy .build/release/setup

static: swift build-packages ## both programs linked with all that they need, for any Linux: .build/release/static
	@Tests/Support/need binutils libc6-dev python3
	deploy/release/static

image: swift build-packages ## OCI image and SBOM in out/, without a Docker daemon, as root
	@Tests/Support/need binutils buildah ca-certificates git python3
	deploy/image/build

deb: swift build-packages ## Debian package in out/
	@Tests/Support/need binutils dpkg-dev git gzip
	deploy/debian/build out

dist: swift build-packages ## a release in out/dist: archives, package, image, chart, SBOMs, provenance, sums; as root
	@Tests/Support/need $(DIST_PACKAGES)
	deploy/release/dist

dist-check: swift build-packages ## the release made twice, in clones at two places, and compared; as root, for the night
	@Tests/Support/need $(DIST_PACKAGES)
	deploy/release/dist-check

static-test: swift build-packages ## the static programs, in systems that have nothing but them; as root
	Tests/Deploy/static/run

release-check: ## all that has a version against deploy/release/versions.toml
	@Tests/Support/need git python3
	deploy/release/check

release-test: test-packages ## what makes, checks and numbers a release; as root
	Tests/Deploy/release/run

test: unit-test yaml-test http2-test embedding-test end-to-end-test ## all tests; what the fuzzers have found is among them

unit-test: swift test-packages ## unit tests, with the corpora of the fuzzers
	swift build --build-tests
	swift test

end-to-end-test: swift test-packages ## real peers against the debug build: the MCP SDK, nginx, faulty servers
	swift build --product mcp-proxy
	swift build --product setup
	swift build --product tunnels-api-fake
	swift build --product sandbox-escape
	Tests/EndToEnd/run -m 'not alone' -n 3 --dist loadfile
	Tests/EndToEnd/run -m alone

attack-test: swift test-packages ## those that play an attacker; as root, in namespaces of their own where they need one
	swift build --product mcp-proxy
	swift build --product setup
	swift build --product tunnels-api-fake
	swift build --product sandbox-escape
	Tests/EndToEnd/run -m attack

fault-test: swift test-packages ## those in which something goes wrong, each proxy under ceilings, a neighbour unharmed
	swift build --product mcp-proxy
	swift build --product setup
	swift build --product tunnels-api-fake
	Tests/EndToEnd/run -m fault

mutation-test: swift test-packages ## faults put into the programs, one by one: do the tests notice? (MUTATIONS=NAMES...)
	@Tests/Support/need golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev iproute2 prometheus
	swift build --build-tests
	@mkdir -p out
	Tests/Mutation/run $(MUTATIONS) --report out/mutation.json

chart-test: swift test-packages ## the Helm chart: rendered, against its properties and Helm itself
	@Tests/Support/need golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev iproute2 prometheus
	swift build --product mcp-proxy
	swift build --product setup
	swift build --product yaml-dump
	swift build --product tunnels-api-fake
	Tests/Deploy/chart/run --ignore=test_rollout.py

rollout-test: chart-test ## pods that are replaced and drained under load, by the clock: for a machine with nothing else to do
	Tests/Deploy/chart/run test_rollout.py

deb-test: swift build-packages ## the Debian package and its units, in systems of their own; as root
	Tests/Deploy/debian/run

test-deploy: swift build-packages rollout-test deb-test ## chart, package, units, image and Compose, under what they promise
	Tests/Deploy/run image compose

yaml-test: swift test-packages ## our YAML reader against ruamel.yaml
	swift build --product yaml-dump
	Tests/Support/venv $(YAML_VENV) Tests/Support/requirements.txt
	$(YAML_VENV)/bin/python Tests/Support/yaml_differential.py .build/debug/yaml-dump

http2-test: swift test-packages ## our HTTP/2 against hpack, 10,000 header lists each way (HTTP2_LISTS=...), and h2
	swift build --product http2-dump
	Tests/Support/venv $(HTTP2_VENV) Tests/Support/requirements-http2.txt
	$(HTTP2_VENV)/bin/python Tests/Support/http2_differential.py .build/debug/http2-dump --count $(or $(HTTP2_LISTS),10000)
	$(HTTP2_VENV)/bin/python Tests/Support/http2_interop.py .build/debug/http2-dump

embedding-test: swift test-packages ## the snippets of the documents and the packages in Examples, which depend on this one
	@Tests/Support/need etcd-client etcd-server
	Tests/Support/embedding/run

docs: swift build-packages ## one static site of all documents and the API, in out/site (SITE_BASE=/ says where it will be)
	@Tests/Support/need cmark-gfm git python3
	docs/site/build out/site --base $(or $(SITE_BASE),/)
	docs/site/check out/site

docs-test: docs test-packages ## the site in a browser, and what its checks find
	@Tests/Support/need chromium chromium-driver fonts-dejavu-core
	SITE=$(CURDIR)/out/site Tests/EndToEnd/run test_site.py

# The suites need these programs; the examples' they build themselves.
CONFORMANCE = $(foreach name,mcp-proxy setup yaml-dump,swift build --product $(name) &&)

conformance: swift test-packages ## Autobahn, smuggling, TLS, certificates, YAML against others' word; writes docs/conformance.md; as root, for the night
	@Tests/Support/need golang-go
	$(CONFORMANCE) Tests/Conformance/run

conformance-quick: swift test-packages ## a part of it, in about a minute; writes nothing (CONFORMANCE_WITHOUT=autobahn-server: not that)
	$(CONFORMANCE) Tests/Conformance/run --bounded $(addprefix --without ,$(CONFORMANCE_WITHOUT))

fresh-test: swift ## a plain Debian 12 made for it, in which `make demo` and `make test` run; as root, for the night
	Tests/Support/fresh-root

fuzz: swift build-packages ## each fuzzer for 60 s (FUZZ_SECONDS=...), as many at a time as there are cores
	Fuzz/run --seconds $(or $(FUZZ_SECONDS),60)

# Where the benchmarks leave their figures, tables and charts, and what those say of which commit they are.
RESULTS := out/bench.json
TABLES := out/bench.md
CHARTS := out/charts
MEASURED = --commit "$$(git describe --always --dirty)"

# Whom the proxy is measured beside. Without Debian's Go there is no reference, and it is left out.
OTHERS := --compare nginx --compare haproxy --compare reference
OTHER_PACKAGES := haproxy golang-go golang-github-gorilla-websocket-dev

bench: release test-packages ## all benchmarks, beside nginx, HAProxy and a proxy in Go, with charts in out/charts
	@Tests/Support/need $(OTHER_PACKAGES)
	$(RELEASE) --product tunnel-bench
	@mkdir -p out
	Benchmarks/Reference/build
	.build/release/tunnel-bench run $(OTHERS) --json $(RESULTS) --markdown $(TABLES) $(MEASURED)
	Benchmarks/Charts/draw $(RESULTS) $(CHARTS)
	swift build --product tunnels-api-fake
	Benchmarks/SetupBench/run --json out/bench-setup.json --markdown $(TABLES:bench.md=bench-setup.md) $(MEASURED)

bench-record: TABLES := docs/performance.md
bench-record: CHARTS := docs/charts
bench-record: RESULTS := docs/charts/bench.json
bench-record: bench ## the benchmarks, whose tables and charts take the place of those in docs/performance.md
	Benchmarks/ScaleBench/scale --update

# One of each kind: that every side still runs.
OTHERS_QUICK := post-32 h2-1x32 connect-resumed download-1 upload-1 events-200 h2-idle

bench-quick: release test-packages ## the benchmarks in under three minutes, most of them without the others
	@Tests/Support/need $(OTHER_PACKAGES)
	$(RELEASE) --product tunnel-bench
	@mkdir -p out
	Benchmarks/Reference/build
	.build/release/tunnel-bench run --quick --json out/bench-quick.json
	.build/release/tunnel-bench run --quick $(OTHERS) --json out/bench-others.json $(addprefix --scenario ,$(OTHERS_QUICK))
	Benchmarks/Charts/draw out/bench-others.json out/charts-quick
	swift build --product tunnels-api-fake
	Benchmarks/SetupBench/run --runs 3 --json out/bench-setup-quick.json
	Benchmarks/ScaleBench/run --idle 500 --busy 50 --seconds 3 --no-cpu --within 0.5

gates: release test-packages ## what five paths cost: allocations, instructions, CPU beside nginx, against the record
	@Tests/Support/need binutils valgrind
	$(RELEASE) --product tunnel-bench
	Tests/Support/gates/run
	Tests/Support/gates/run --ratios

soak: release test-packages ## ten minutes of everything (SOAK_SECONDS=...); memory and descriptors end where they began
	$(RELEASE) --product tunnel-bench
	Tests/Support/soak/run

ASAN := --sanitize=address --scratch-path .build/sanitize-address

sanitize: swift test-packages ## all unit tests under AddressSanitizer
	swift build --build-tests $(ASAN)
	ASAN_OPTIONS=detect_leaks=0 swift test --skip-build $(ASAN)

TSAN := --sanitize=thread --scratch-path .build/sanitize-thread

sanitize-thread: swift test-packages ## tests of TunnelIO and TunnelProxy under ThreadSanitizer
	swift build --build-tests $(TSAN)
	mkdir -p out && rm -f out/tsan.*
	$(dir $(realpath $(shell command -v swift)))clang -O1 -shared -fPIC -o out/tsan-mutex.so Tests/Support/tsan-mutex.c -ldl
	LD_PRELOAD=$(CURDIR)/out/tsan-mutex.so TSAN_OPTIONS=log_path=$(CURDIR)/out/tsan \
		swift test --skip-build $(TSAN) --filter '^(TunnelIOTests|TunnelProxyTests)\.' || { cat out/tsan.* 2>/dev/null; exit 1; }

lint: swift build-packages ## formatting, house rules, links and promises of the documents, the public API against its record
	@Tests/Support/need git python3
	swift format lint --strict --parallel --recursive Package.swift $(wildcard Sources Tests Fuzz Benchmarks Examples)
	Tests/Support/check-source
	Tests/Support/check-layers
	Tests/Support/check-docs
	Tests/Support/check-statements
	Tests/Support/check-claims
	deploy/release/check
	Tests/Mutation/run --check
	Tests/Support/embedding/check-blocks
	Tests/Support/api-digest
	Benchmarks/ScaleBench/scale --check
	Tests/Support/gates/document --check

clean: ## remove what was built, downloaded and found
	rm -rf .build out Tests/Support/embedding/.build Examples/*/.build
	find Tests -name '.venv*' -type d -prune -exec rm -rf {} +

swift:
	@command -v swift >/dev/null || { echo 'Swift 6.3 or newer is needed: https://www.swift.org/install/linux/' >&2; exit 1; }

build-packages:
	@Tests/Support/need $(BUILD_PACKAGES)

test-packages:
	@Tests/Support/need $(TEST_PACKAGES)
