# make all   the environment and the default build: from structures to results/report.html
# make test  the environment, the linters and every test that is not minutes long
# make docs  the environment and the documentation as a site: open site/index.html
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
# A command that exists may still be a version manager's stub, so each candidate is run.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && echo $$python && break; done)
endif

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: all env test test-slow test-cluster test-faults fuzz fuzz-guided check docs lock
.DELETE_ON_ERROR:

all: env
	snakemake --cores $(CORES) all

env: $(INSTALLED)

# The stamp is written last and is older than a changed lock: an interrupted or outdated
# installation is taken up again. An older pip takes three times as long to choose what it installs, and any pip
# compiles packages on one processor.
$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.14 found; name one: make PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=26'
	$(BIN)/python -m pip install --quiet --no-compile --requirement requirements.lock
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # templates that are no Python
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

check: env
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules
	codespell
	xtinct check config/*.yaml

# The files of tests are shared out to two processes of one thread each, the long ones first (tests/conftest.py).
# cctbx needs a process in which nothing else was imported before it.
test: check
	OMP_NUM_THREADS=1 pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow"
	pytest --cctbx -m "not slow"

test-slow: env
	pytest -m "slow and not cluster"
	pytest --cctbx -m slow || test $$? -eq 5  # 5: no such test

# A Slurm and an S3 server on this machine, for as long as the tests take: apt-get install slurm-wlm munge.
# Their packages stand apart, because that of DVC needs an older botocore than the environment has.
test-cluster: env
	pip install --quiet --no-deps --upgrade --target .packages-cluster --requirement tests/cluster/requirements.txt
	PYTHONPATH=.packages-cluster pytest -m cluster

# The last commit built through kills, full disks, jumps of the clock, limits of memory and damaged files: an hour or two.
KILLS ?= 30
FULL ?= 10
CLOCKS ?= 10
test-faults: env
	python tests/faults/campaign.py --kills $(KILLS) --full $(FULL) --clocks $(CLOCKS) --memory --damage

# Mutated inputs through every reader for so many seconds; findings go to the folder fuzz/.
SECONDS ?= 900
fuzz: env
	python tests/faults/fuzz.py --seconds $(SECONDS)

# The same, led by the code that the inputs reach: KIND is structure, measured, archive or configuration.
KIND ?= structure
fuzz-guided: env
	pip install --quiet --no-deps --upgrade --target .packages-fuzz atheris==3.0.0
	PYTHONPATH=.packages-fuzz python tests/faults/guided.py $(KIND) -max_total_time=$(SECONDS)

# The reference is made from the code; the pages need no network.
docs: env
	python -m xtinct.project.keys.reference
	python -m xtinct.project.reference_pages
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# Resolve pyproject.toml anew and pin what came out (then read the difference before committing it).
lock:
	rm -rf .venv-lock
	"$(PYTHON)" -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --editable ".[workflow,test]"
	{ sed -n '/^#/p' requirements.lock; .venv-lock/bin/python -m pip freeze --all --exclude-editable \
		| grep -vE '^(pip|nvidia|cuda|triton)' | sed 's/+.*//' | sort -f; } > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf .venv-lock
