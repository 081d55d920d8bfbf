# Mini AWS. `make` alone prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
LINT := bin/golangci-lint
FUZZTIME ?= 20s
INIT = backend/node/initbinary/built/init-linux-$$($(GO) env GOARCH)
# Tests of a whole package that talks to an engine, or that kills processes, take longer than Go's own 10 minutes allow
# on a busy machine; every single wait in them is bounded by itself.
TEST := $(GO) test -timeout 40m
# The binary runs in containers of any kind, so it is static. Tests and linter use the same setting, and -trimpath is not
# used: every other combination would compile the SDK's ec2 package once more, which takes minutes.
export CGO_ENABLED := 0

.PHONY: help
help: ## Print the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: run
run: build ## Set everything up and serve (real instances where a Docker engine answers or can be installed).
	@scripts/ensure-engine && scripts/build-images || echo "instances will be simulated: see above" >&2
	@exec bin/mini-aws serve

.PHONY: init
init: ## Build the init of instances, which is embedded in mini-aws.
	@rm -f backend/node/initbinary/built/init-*
	GOOS=linux $(GO) build -trimpath -ldflags='-s -w' -o $(INIT) ./backend/node/guest/init
	gzip -9 --no-name --force $(INIT)

.PHONY: build
build: init ## Build bin/mini-aws.
	$(GO) build -ldflags='-s -w' -o bin/mini-aws .

.PHONY: image
image: build ## Make an image of Mini AWS itself, "mini-aws", on the Docker engine here.
	scripts/build-mini-aws-image

.PHONY: test
test: build ## Set everything up and run all tests, those on a real engine too.
	scripts/ensure-engine
	scripts/build-images
	MINI_AWS_TEST_ENGINE=docker $(TEST) ./...

.PHONY: test-fast
test-fast: ## Run the tests that need no engine, and of the stories one for each part of the cloud.
	$(TEST) -short ./...

.PHONY: lint
lint: $(LINT) ## Check the code against the house rules.
	$(LINT) run ./...
	cd boot && ../$(LINT) run --config ../.golangci.yml ./...
	@$(GO) mod tidy -diff || { echo "go.mod is not tidy: run go mod tidy" >&2; exit 1; }

$(LINT): tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: gen
gen: ## Make the wire metadata anew from the pinned SDK modules (and botocore's models, where installed).
	$(GO) run ./awsapi/gen
	@if data="$$(python3 -c 'from moto.iam.aws_managed_policies import aws_managed_policies_data as d; print(d)' 2>/dev/null)"; then printf '%s' "$$data" | $(GO) run ./iam/gen; \
	else echo "the moto package is not installed: iam/aws_policies.bin stays as it is"; fi

.PHONY: bench
bench: ## Run the benchmarks, those of instances and networks where a Docker engine answers.
	$(GO) test -run '^$$' -bench . -benchmem ./awsapi ./awsapi/sigv4 ./backend/store ./ec2 ./iam ./iam/policy .
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./cloudtrail
	$(GO) test -run '^$$' -bench Describe -benchtime 20x ./ec2
	MINI_AWS_TEST_ENGINE=$$(docker version >/dev/null 2>&1 && echo docker) $(GO) test -timeout 30m -run '^$$' -bench Engine -benchtime 10x ./backend/node
	MINI_AWS_TEST_ENGINE=$$(docker version >/dev/null 2>&1 && echo docker) $(GO) test -timeout 2h -run '^$$' -bench . -benchtime 1x ./integration

.PHONY: torture
torture: ## Kill the store 200 times while it writes, and the whole server 200 times under its clients; look for what is lost.
	STORE_TEST_KILLS=200 $(TEST) -count=1 -run Kill -v ./backend/store
	TORTURE_KILLS=200 $(GO) test -timeout 60m -count=1 -run Torture -v ./integration

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (20s).
	FUZZTIME=$(FUZZTIME) scripts/each-fuzz-target

.PHONY: clean
clean: ## Remove what was built here.
	rm -rf bin backend/node/initbinary/built/init-*
