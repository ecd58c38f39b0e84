# make run    the demo on port 3000, seed 1, two workers
# make test   everything that must hold before a commit
# make check-slow   what takes minutes, or real nginx and HAProxy
# make bench-p2     the ALB mix beside nginx and HAProxy (needs wrk, nginx, haproxy)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# Rooms that decide and do no I/O.
PURE := stickyd/wire stickyd/routing stickyd/handoff/frame.py stickyd/worker/gate.py stickyd/worker/patience.py stickyd/master/verdict.py \
  $(addprefix stickyd/verify/,answer.py confidence.py judging.py plan.py table.py failures.py)

.PHONY: run test lint unit trial pytest-twisted check-slow bench-p2 clean

run: $(STAMP)
	$(BIN)/twistd -n --pidfile= stickyd --workers 2 --seed 1 --listen tcp:3000

# The suite runs under both runners; at the same time, since it mostly waits.
test: $(STAMP) lint pytest-twisted
	$(MAKE) --no-print-directory -j2 --output-sync=target trial unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict $(PURE)

unit: $(STAMP)
	$(BIN)/python -m pytest -p no:twisted -q tests --ignore tests/pytest_twisted

# pytest-twisted runs the reactor itself, so its tests have a process of their own.
pytest-twisted: $(STAMP)
	$(BIN)/python -m pytest -q tests/pytest_twisted

trial: $(STAMP)
	$(BIN)/python -W error -m twisted.trial tests

check-slow: $(STAMP)
	STICKYD_SLOW=1 $(BIN)/python -m pytest -p no:twisted -q tests/test_corpus.py
	$(BIN)/python -m tests.slow.fuzz_heads --count 1000000 --seed 1
	$(BIN)/python -m tests.slow.million --requests 1000000
	$(BIN)/python -m tests.slow.smuggling
	$(BIN)/python -m tests.slow.proxy_peers

bench-p2: $(STAMP)
	$(BIN)/python -m benchmarks.alb_mix

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stickyd needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) 2>/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv --clear $(VENV); } || \
	  { echo "stickyd needs Python's venv: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check 'setuptools>=68' wheel
	$(BIN)/python -m pip install -q --disable-pip-version-check \
	  --config-settings editable_mode=compat -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info twisted/plugins/dropin.cache
