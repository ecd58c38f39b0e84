# make run    the demo on port 3000, seed 1, two workers
# make test   everything that must hold before a commit
# make lint         ruff, mypy, and actionlint where it is installed
# make coverage     the suite, measured: master and workers too
# make docs         the site, into build/docs
# make sdist        dist/*.tar.gz alone
# make dist         sdist and wheel, checked, installed into empty environments and run there
# make check-slow   what takes minutes, or real nginx, HAProxy, Redis, Node, Chromium
# make check-matrix the suite on each Python that is here
# make install      into PREFIX (/usr/local), with systemd units; DESTDIR is respected
# make uninstall    all of that but the configuration
# make bench        every workload beside its peers, into docs/benchmarks.md; 25 to 30 minutes
# make bench-quick  three of them, shortly: under two minutes once their tools are installed
# make sanitize     the C headers of the compiled core, fuzzed under ASan and UBSan
# make options     the documents that are made of the option tables
# CORE=0 for any of them: without the compiled core
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
JOBS ?= 3
SLOW_STAMP := $(VENV)/installed-slow
DOCS_STAMP := $(VENV)/installed-docs
DIST_STAMP := $(VENV)/installed-dist
# The compiled core is built where a C compiler is; CORE=0 builds none and runs without it.
CORE := $(if $(filter 0,$(STICKYD_NATIVE)),0,1)
ifeq ($(CORE),0)
export STICKYD_NATIVE := 0
endif
HAS_COMPILER = command -v $(CC) >/dev/null && \
  [ -e "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ]
PREFIX ?= /usr/local
LIBDIR := $(PREFIX)/lib/stickyd
UNITDIR ?= /lib/systemd/system
SYSCONFDIR ?= /etc
MANDIR ?= $(PREFIX)/share/man
TO_LIB = $(DESTDIR)$(LIBDIR)
TO_ETC = $(DESTDIR)$(SYSCONFDIR)

.PHONY: check-matrix
.PHONY: run test core options sanitize lint unit trial trial-core pytest-twisted check-slow bench bench-quick clean
.PHONY: check-apps coverage docs sdist dist
.PHONY: install install-units check-python uninstall

run: core
	$(BIN)/twistd -n --pidfile= stickyd --workers 2 --seed 1 --listen tcp:3000

# The whole suite under pytest; under trial all that starts no daemon, and the core that does.
# (The whole of it under trial too: make trial, a part of check-slow.)
test: core lint sanitize pytest-twisted
	$(MAKE) --no-print-directory -j2 --output-sync=target trial-core unit

trial-core: core
	$(BIN)/python -W error -m twisted.trial $(UNDER_TRIAL)

UNDER_TRIAL = tests.unit tests.integration.test_workers

# Built with the installation; again when its sources have changed since.
core: $(STAMP)
	@[ "$(CORE)" = 0 ] || $(BIN)/python -m stickyd.core >/dev/null || ! { $(HAS_COMPILER); } || \
	  $(BIN)/python setup.py -q build_ext --inplace --force
	@$(BIN)/python -m stickyd.core || true

# Heap buffers of exact size, so that a read behind an end is found. FUZZ: how many inputs.
FUZZ := 200000
FUZZERS := build/fuzz_core build/fuzz_sockets
HEADERS := stickyd/core
sanitize:
	@if ! echo 'int main(void) { return 0; }' | $(CC) $(SANITIZERS) -x c -o /dev/null - 2>/dev/null; then \
	  echo "make sanitize: skipped, $(CC) cannot build with sanitizers here"; \
	else \
	  mkdir -p build && for fuzzer in $(FUZZERS); do \
	    $(CC) $(SANITIZERS) -std=c11 -O1 -g -Wall -Wextra -Werror -I$(HEADERS) \
	      tests/sanitize/$${fuzzer##*/}.c -o $$fuzzer && \
	    $$fuzzer $(FUZZ) || exit 1; \
	  done; \
	fi

SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# README's table, docs/options.md and man/stickyd.1, from stickyd/cli/option_table.py.
options: $(STAMP)
	$(BIN)/python -m stickyd.cli.render --write

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH"; ! command -v actionlint >/dev/null || actionlint

# Daemons start, and tests wait for them: more of them at a time than there are cores.
unit: core
	$(BIN)/python -m pytest -p no:twisted -q -n $(JOBS) --dist worksteal tests --ignore tests/pytest_twisted

# pytest-twisted runs the reactor itself, so its tests have a process of their own.
pytest-twisted: core
	$(BIN)/python -m pytest -q tests/pytest_twisted

# Processes that the tests start are measured as well (patch, in pyproject.toml), all but those that
# are killed. Without the tests of apps that close descriptors: those of coverage.py are among them.
coverage: core
	rm -rf build/coverage; mkdir -p build/coverage
	$(BIN)/coverage run -m pytest -p no:twisted -q -n $(JOBS) --dist worksteal tests \
	  --ignore tests/pytest_twisted --ignore tests/integration/test_own_descriptors.py; status=$$?; \
	  $(BIN)/coverage combine -q && $(BIN)/coverage html -q && $(BIN)/coverage report --skip-covered && exit $$status

docs: $(DOCS_STAMP)
	rm -rf build/docs docs/reference
	STICKYD_NATIVE=0 $(BIN)/sphinx-build -q -c docs -b html -W --keep-going . build/docs
	@echo "build/docs/docs/index.html"

sdist: $(DIST_STAMP)
	rm -rf dist
	$(BIN)/python -m build -q --sdist
	$(BIN)/twine check --strict dist/*

# The wheel is built from the sdist; auditwheel finds the oldest manylinux that it runs on.
dist: sdist
	rm -rf build/sdist build/wheel; mkdir -p build/sdist
	tar -xzf dist/*.tar.gz -C build/sdist --strip-components=1
	$(BIN)/python -m build -q --wheel --outdir build/wheel build/sdist
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheel/*.whl
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m tests.slow.dist_check dist/*

trial: core
	$(BIN)/python -W error -m twisted.trial tests

# The suite on each Python from 3.11 that is found; MATRIX=--quick for its core.
MATRIX :=
check-matrix:
	$(PYTHON) -m tests.slow.matrix $(MATRIX)

check-slow: $(SLOW_STAMP) trial
	STICKYD_SLOW=1 $(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory sanitize FUZZ=10000000
	$(BIN)/python -m tests.slow.fuzz_core --count 10000000 --placements 1000000 --frames 1000000 --seed 1
	$(BIN)/python -m tests.slow.fuzz_heads --count 1000000 --seed 1
	$(BIN)/python -m tests.slow.million --requests 1000000
	$(BIN)/python -m tests.slow.many_ids --count 1000000
	$(BIN)/python -m tests.slow.smuggling
	$(BIN)/python -m tests.slow.proxy_peers
	$(BIN)/python -m tests.slow.twisted_web
	$(BIN)/python -m tests.slow.life
	$(BIN)/python -m tests.slow.soak
	$(BIN)/python -m tests.slow.container
	$(BIN)/python -m tests.slow.prometheus_scrapes
	$(BIN)/python -m tests.slow.replay_counters
	$(BIN)/python -m tests.slow.side_by_side
	$(BIN)/python -m tests.slow.live_page
	$(BIN)/python -m tests.slow.slow_clients
	$(BIN)/python -m tests.slow.wsgi_sockets
	$(BIN)/python -m tests.slow.hostile_logs
	$(BIN)/python -m tests.slow.websocket_cases
	$(BIN)/python -m tests.slow.booted
	$(BIN)/python -m tests.slow.socketio
	$(BIN)/python -m tests.slow.chat
	$(BIN)/python -m tests.slow.mcp_sessions
	$(BIN)/python -m tests.slow.django_sessions
	$(BIN)/python -m tests.slow.browsers
	$(BIN)/python -m tests.slow.haproxy_cookie
	$(BIN)/python -m tests.slow.mixed_sources --requests 1000000
	$(BIN)/python -m tests.slow.dev_reload
	$(BIN)/python -m tests.slow.split_session
	$(BIN)/python -m tests.slow.notebook
	$(BIN)/python -m tests.slow.handover
	$(BIN)/python -m tests.slow.tls_reloads
	$(BIN)/python -m tests.slow.tls_malformed
	$(BIN)/python -m tests.slow.tls_killed
	$(BIN)/python -m tests.slow.tls_idle
	$(BIN)/python -m tests.slow.tls_scanners

# Environments with the frameworks are made in build/, of some 3 GB in all.
check-apps: $(SLOW_STAMP) core
	$(BIN)/python -m tests.slow.recipes --write $(APPS)
	$(BIN)/python -m tests.slow.recipes --controls --write
	$(BIN)/python -m tests.slow.recipes --clicks nicegui

# Fails if an answer of stickyd's was wrong, not if a target was missed: the tables say that.
bench: $(STAMP)
	benchmarks/setup.sh $(BIN)/python
	-$(BIN)/python -m benchmarks.profile --keep
	$(BIN)/python -m benchmarks --keep --document

bench-quick: $(STAMP)
	benchmarks/setup.sh $(BIN)/python
	$(BIN)/python -m benchmarks --quick

# A virtual environment of its own; run again, it is brought up to date.
install: check-python install-units
	umask 022; $(PYTHON) -m venv $(TO_LIB)
	umask 022; $(TO_LIB)/bin/python -m pip install -q --disable-pip-version-check --no-compile .
	# Older than the cache of plugins, also in an archive that has whole seconds: Twisted compares.
	touch -d '10 seconds ago' $(TO_LIB)/lib/python3*/site-packages/twisted/plugins/*.py
	umask 022; $(TO_LIB)/bin/python -c 'from twisted import plugin; list(plugin.getPlugins(plugin.IPlugin))'
	umask 022; $(TO_LIB)/bin/python -m compileall -q $(if $(DESTDIR),-s $(DESTDIR)) $(TO_LIB)/lib
	$(if $(DESTDIR),grep -rlI '$(TO_LIB)' $(TO_LIB)/bin $(TO_LIB)/pyvenv.cfg | xargs sed -i 's|$(TO_LIB)|$(LIBDIR)|g')
	install -d $(DESTDIR)$(PREFIX)/bin
	ln -sf $(LIBDIR)/bin/stickyd $(DESTDIR)$(PREFIX)/bin/stickyd
	install -D -m 644 man/stickyd.1 $(DESTDIR)$(MANDIR)/man1/stickyd.1

check-python:
	@$(CHECK_PYTHON)
	@case "$$($(PYTHON) -c 'import os, sys; print(os.path.realpath(sys.executable))')" in \
	  /root/*|/home/*) echo "the service cannot reach a Python in a home directory:" \
	    "make install PYTHON=/usr/bin/python3" >&2; exit 1;; esac

# Without the program. Configuration that is there already stays as it is.
install-units:
	install -d $(DESTDIR)$(UNITDIR) $(TO_ETC)/default
	sed 's|@LIBDIR@|$(LIBDIR)|g; s|/etc/|$(SYSCONFDIR)/|g' systemd/stickyd.service.in \
	  >$(DESTDIR)$(UNITDIR)/stickyd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/stickyd.service
	install -m 644 systemd/stickyd.socket $(DESTDIR)$(UNITDIR)/stickyd.socket
	[ -e $(TO_ETC)/default/stickyd ] || (umask 077; (cat systemd/stickyd.default; \
	  $(PYTHON) -c 'import secrets; print(f"STICKYD_SEED={secrets.randbits(127)}")') \
	  >$(TO_ETC)/default/stickyd)
	$(RELOAD_UNITS)

uninstall:
	rm -rf $(TO_LIB)
	rm -f $(DESTDIR)$(PREFIX)/bin/stickyd $(DESTDIR)$(MANDIR)/man1/stickyd.1
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,stickyd.service stickyd.socket)
	$(RELOAD_UNITS)
	@echo "left: $(TO_ETC)/default/stickyd"

RELOAD_UNITS = $(if $(DESTDIR),,[ ! -d /run/systemd/system ] || systemctl daemon-reload)

define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "stickyd needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
endef

# Without either of the two the core is not built, and nothing else is missing.
define INSTALL_COMPILER
[ "$(CORE)" = 0 ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
  { $(HAS_COMPILER); } || \
  { apt-get update -q && apt-get install -qy gcc libc6-dev python3-dev; } || \
  echo "no C compiler: stickyd will run without its compiled core" >&2
endef

$(STAMP): setup.cfg pyproject.toml setup.py
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv --clear $(VENV) 2>/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv --clear $(VENV); } || \
	  { echo "stickyd needs Python's venv: apt-get install python3-venv" >&2; exit 1; }
	@$(INSTALL_COMPILER)
	$(BIN)/python -m pip install -q --disable-pip-version-check 'setuptools>=68' wheel
	$(BIN)/python -m pip install -q --disable-pip-version-check \
	  --config-settings editable_mode=compat -e '.[test]'
	touch $@

# What only the slow tests import.
$(SLOW_STAMP): $(STAMP)
	$(BIN)/python -m pip install -q --disable-pip-version-check \
	  --config-settings editable_mode=compat -e '.[slow]'
	touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install -q --disable-pip-version-check \
	  --config-settings editable_mode=compat -e '.[docs]'
	touch $@

$(DIST_STAMP): $(STAMP)
	$(BIN)/python -m pip install -q --disable-pip-version-check \
	  --config-settings editable_mode=compat -e '.[dist]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info docs/reference stickyd/core/*.so twisted/plugins/dropin.cache benchmarks/.peers benchmarks/.results
