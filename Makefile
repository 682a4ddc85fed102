# Every target works on a fresh Debian machine that has Go and make: what else
# it needs it installs with apt-get when run as root, and names otherwise.

PREFIX  ?= /usr/local
# mount(8) looks for its helpers in /sbin and nowhere else.
SBINDIR ?= /sbin
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc
DESTDIR ?=
FUZZTIME ?= 30s
SOAKTIME ?= 10m
# Of a tagged commit; otherwise the program tells the commit that Go records.
VERSION ?= $(shell git describe --tags --dirty 2>/dev/null)

GOTEST = scripts/gotest.sh
# Debian packages: an independent reader of VDI, which makes disks for guests as well;
# how users mount, and pgrep; what the race detector is built with. What the tests of
# VirtualBox and OpenZFS need beside, their own scripts install.
UNIT_NEEDS  = qemu-utils
MOUNT_NEEDS = fio fuse3 procps btrfs-progs xfsprogs e2fsprogs systemd qemu-utils qemu-system-x86
RACE_NEEDS  = gcc libc6-dev
# What measures, and what clonefs is measured beside.
BENCH_NEEDS = fio qemu-utils bindfs xmount fuse3 btrfs-progs

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/clonefs
	CGO_ENABLED=0 go build -trimpath $(if $(VERSION),-ldflags '-X main.linkedVersion=$(VERSION)') -o bin/clonefs ./cmd/clonefs

.PHONY: run
run: build ## See it work: a golden image, three clones, a mount, a UUID for each
	@test "$$(id -u)" = 0 || scripts/needs.sh fuse3
	@if [ -t 0 ] && [ -t 1 ]; then exec bin/clonefs demo; else exec bin/clonefs demo --once; fi

.PHONY: install
install: ## Install what make build built (PREFIX, DESTDIR)
	@test -x bin/clonefs || { echo 'clonefs: nothing is built; run: make build' >&2; exit 1; }
	install -D -m 755 bin/clonefs $(DESTDIR)$(PREFIX)/bin/clonefs
	install -d $(DESTDIR)$(SBINDIR)
	ln -sf $(PREFIX)/bin/clonefs $(DESTDIR)$(SBINDIR)/mount.clonefs
	ln -sf $(PREFIX)/bin/clonefs $(DESTDIR)$(SBINDIR)/mount.fuse.clonefs
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|; s|/etc/clonefs/|$(SYSCONFDIR)/clonefs/|g' systemd/clonefs@.service | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/clonefs@.service
	install -D -m 644 systemd/example.conf $(DESTDIR)$(SYSCONFDIR)/clonefs/example.conf

.PHONY: uninstall
uninstall: ## Remove what make install installed
	rm -f $(DESTDIR)$(PREFIX)/bin/clonefs
	rm -f $(DESTDIR)$(SBINDIR)/mount.clonefs $(DESTDIR)$(SBINDIR)/mount.fuse.clonefs
	rm -f $(DESTDIR)$(UNITDIR)/clonefs@.service $(DESTDIR)$(SYSCONFDIR)/clonefs/example.conf

.PHONY: check
check: ## The quick round while working: format, vet, lint, unit tests, mounts
	@scripts/test.sh 'check-mounts lint check-unit'

.PHONY: test
test: ## Everything: check, race detector, fuzzing, soak, real VirtualBox, real OpenZFS
	@scripts/test.sh lint vulncheck test-unit fuzz test-mounts soak test-virtualbox test-openzfs

.PHONY: lint
lint: ## Format, vet, linters, import rules, FreeBSD build, shell scripts
	@scripts/lint.sh

.PHONY: vulncheck
vulncheck: ## Known vulnerabilities in what is imported
	@scripts/vulncheck.sh

# Tests that mount or need a real VirtualBox or OpenZFS are below integration.
UNIT   = $$(go list ./... | grep -v /integration)
MOUNTS = $$(go list ./integration/... | grep -vE '/integration/(virtualbox|openzfs)')

.PHONY: check-unit
check-unit:
	@scripts/needs.sh $(UNIT_NEEDS)
	@$(GOTEST) $(UNIT)

.PHONY: check-mounts
check-mounts:
	@scripts/needs.sh $(MOUNT_NEEDS)
	@CLONEFS_QUICK=1 $(GOTEST) -timeout 15m $(MOUNTS)

.PHONY: test-unit
test-unit: check-unit ## Unit tests, once more with the race detector
	@scripts/needs.sh $(RACE_NEEDS)
	@CGO_ENABLED=1 $(GOTEST) -race -timeout 20m $(UNIT)

.PHONY: test-mounts
test-mounts: ## Real mounts over a directory; on one processor and with the race detector too
	@scripts/needs.sh $(MOUNT_NEEDS) $(RACE_NEEDS)
	@$(GOTEST) -timeout 15m $(MOUNTS)
	@# One processor shows deadlocks and races that nothing else does.
	@GOMAXPROCS=1 $(GOTEST) -count=1 -timeout 15m $(MOUNTS)
	@CLONEFS_RACE=1 CGO_ENABLED=1 $(GOTEST) -race -timeout 30m $(MOUNTS)

.PHONY: test-virtualbox
test-virtualbox: ## Real VirtualBox registers clones and boots VMs from them
	@TEST_FORMAT=standard-verbose $(GOTEST) -count=1 -timeout 40m ./integration/virtualbox/...

.PHONY: test-openzfs
test-openzfs: ## Clones live and die on real OpenZFS
	@scripts/needs.sh $(UNIT_NEEDS)
	@# One guest at a time: its processors are emulated, and what it promises in seconds
	@# is not kept while they starve.
	@TEST_FORMAT=standard-verbose $(GOTEST) -p 1 -count=1 -timeout 40m ./integration/openzfs/...

# The leaks are looked for without the race detector, which has memory of its own.
.PHONY: soak
soak: ## Use and remove volumes and files for SOAKTIME (10m; for a night: 8h); nothing is left, nothing lost
	@scripts/needs.sh $(MOUNT_NEEDS) $(RACE_NEEDS)
	@$(MAKE) --no-print-directory --jobs=2 soak-volumes soak-clients

SOAK = CLONEFS_SOAK=$(SOAKTIME) TEST_FORMAT=standard-verbose
.PHONY: soak-volumes soak-clients
soak-volumes:
	@$(SOAK) $(GOTEST) -count=1 -timeout 0 -run NothingIsLeftOfVolumes ./integration
soak-clients:
	@$(SOAK) CLONEFS_RACE=1 CGO_ENABLED=1 $(GOTEST) -race -count=1 -timeout 0 -run ManyClientsFind ./integration

.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZTIME (30s; for a night: 4h)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build ## Measure speed on a quiet machine, as root: docs/benchmarks.md (BENCH: its flags)
	@scripts/needs.sh $(BENCH_NEEDS)
	@# Not go run, which would end before the benchmark has cleaned up.
	@go build -o bin/bench ./integration/bench && exec bin/bench $(BENCH)

.PHONY: clean
clean: ## Remove what was built here
	rm -rf bin
