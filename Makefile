# A fresh machine needs Go, make and git; everything else is fetched by the go command at the versions that go.mod and this file name.
# (make race needs a C compiler on Linux: the race detector does.)

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What runs inside WebAssembly.
GUESTS  := ./abi/... ./sdk/... ./plugins/...
WASIP1  := GOOS=wasip1 GOARCH=wasm
PLUGINS := $(patsubst plugins/%/main.go,%,$(wildcard plugins/*/main.go))

FUZZTIME ?= 10s
COUNT    ?= 1
BENCH    ?= .

# The benchmarks that compare two sides; BENCH_PACKAGES=./... for all there are.
BENCH_PACKAGES ?= ./host/engine/meter ./host/engine ./host

.DEFAULT_GOAL := help
.PHONY: help run build plugins test race fuzz bench bench-peers soak lint check format vet tidy wasip1 clean-tree FORCE

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build plugins ## serve the plugins on 127.0.0.1:8420; what they keep is in bin/data
	@exec bin/crhost serve --data bin/data --cache bin/cache $(foreach p,$(PLUGINS),--plugin $(p)=bin/plugins/$(p).wasm)

build: ## build bin/crhost
	$(GO) build -trimpath -o bin/crhost ./cmd/crhost

plugins: $(PLUGINS:%=bin/plugins/%.wasm) ## build bin/plugins/NAME.wasm

bin/plugins/%.wasm: FORCE
	$(WASIP1) $(GO) build -trimpath -buildmode=c-shared -o $@ ./plugins/$*

test: ## run the tests
	$(GO) test ./...

race: ## run the tests under the race detector
	$(GO) test -race -short ./...

fuzz: ## fuzz each decoder for FUZZTIME (10s)
	@grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's,/[^/]*:func , ,' | sort | while read -r dir name; do \
		echo "$$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
	done

bench: ## run the comparisons; BENCH=regexp COUNT=n BENCH_PACKAGES=./...
	$(GO) test -p 1 -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(BENCH_PACKAGES)

bench-peers: ## run the counter on Extism and go-plugin beside ours
	cd bench && $(GO) run .

# Tests that have more to do when there is time ask for CRHOST_LONG=1.
soak: ## run the tests that can take longer at their full length
	@packages=$$(grep -rl --include='*_test.go' CRHOST_LONG . | sed 's,/[^/]*$$,,' | sort -u); set -x; \
	[ -z "$$packages" ] || CRHOST_LONG=1 $(GO) test -count 1 -timeout 60m $$packages

lint: ## look for mistakes (staticcheck; what is off is in staticcheck.conf)
	$(GO) run $(STATICCHECK) ./...

check: format vet lint tidy wasip1 clean-tree ## format, vet, lint, tidy, wasip1 build, clean tree

format:
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; }

# bench is a module of its own and would otherwise go stale unseen.
vet:
	$(GO) vet ./...
	cd bench && $(GO) vet ./...

tidy:
	$(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff

wasip1:
	$(WASIP1) $(GO) build $(GUESTS)

# Only CI has a reason to refuse a dirty tree: there it means that a test or a build wrote into it.
clean-tree:
	@[ -z "$$CI" ] || [ -z "$$(git status --porcelain)" ] || { echo "the tree is dirty:"; git status --short; exit 1; }
