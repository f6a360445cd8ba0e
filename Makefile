# make demo   the main job on a fresh machine
# make check  format, lint, types, layers, and the tests that need no TensorFlow, browser, cluster or patience
# make test   everything CI checks
# make nightly  the tests of minutes that make test leaves out: long examples, kills, the tutorial, most models of the Keras contract
# make coverage  the same tests, and which lines they run; slower
# make lowest the fast tests with the oldest versions that pyproject.toml allows
# make newest the fast tests on the newest Python that is here
# make core   what the core alone can do, without any extra
# make package  wheel and sdist into dist/, and what checks them
# make sizes  what an installation takes, into docs/index.md; ten minutes
# make backends  Keras on JAX without TensorFlow, trackers, polars, dask-jobqueue and Ray, on the newest Python that is here, for tests that need them; BACKENDS='jax torch' for PyTorch too
# make docs   pictures and pages of the documentation, into site/; a minute
# make docs-versions  the pages of this version, beside those of earlier ones, as a commit on the branch gh-pages
# make page   the review page's script, from frontend/; needs Node
# make bench  speed, beside the peers, in one run
# make bench-keras  trainings beside model.fit; ten minutes
# make bench-scale  own time at 100,000 trials, workers, large grids, trees of 1,000 rounds, a million trials; an hour
# make fuzz   a million odd spaces, edits, tables, bundles, messages of the page and of assistants; hours
# make chaos  kills, stops and restarts of workers, coordinator and database, at random; half an hour, needs PostgreSQL
# make bench-search  autopilot with a budget beside automatic search; an hour
# make bench-proposals  whether proposals are worth following and claims true, and what pruners save and lose; an hour or two
# make bench-worth  whether another round is worth it: verdicts, and what ending a search saves and loses; twenty minutes

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
BACKENDS ?= jax
ELSEWHERE := .venv-backends
OLDEST := .venv-oldest
CORE := .venv-core
PACKAGE := .venv-package
# Trackers are tested in .venv-backends.
EXTRAS := standard,notebook,mcp,dask,postgresql
WITHOUT_TENSORFLOW := optuna,web,notebook,mcp,dask,postgresql
UV := $(RUN) -m uv
# uv's Python for an environment: the newest that is here and starts.
NEWEST ?= $(firstword $(foreach v,3.14 3.13 3.12 3.11,$(if $(shell python$(v) -c 'print(1)' 2>/dev/null),python$(v))) $(RUN))
TESTS := -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 5 --durations-min 2
FAST := not (slow or keras or browser or cluster or elsewhere or nightly)
PATIENT := (slow or keras or browser or cluster) and not (elsewhere or nightly)
# CI runs the fast tests of what calls other packages most with the oldest of them, and all others on the newest Python; proposals
# are compared on both. `make lowest` and `make newest` run all.
CALLS := tests/design tests/report tests/space tests/stats tests/store tests/ui tests/utils
NO_KERAS := --ignore tests/keras --ignore tests/docs

.PHONY: demo check test static fast oldest-calls newest-others elsewhere keras patient nightly fuzz coverage lowest newest backends core package sizes docs docs-versions chaos bench bench-keras bench-scale bench-search bench-proposals bench-worth clean page

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("refine needs Python >= 3.11, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip uv
	$(UV) pip install --quiet --compile-bytecode --python $(RUN) --editable '.[$(EXTRAS)]' --group dev
	touch $(READY)

demo: $(READY)
	$(RUN) examples/breast_cancer.py --out demo-output

# As many processes as cores run tests: threads of theirs would only wait for each other.
check test nightly coverage lowest newest: export OMP_NUM_THREADS := 1

# Containers often set this variable. Every process of a test would then compile every module again.
unexport PYTHONDONTWRITEBYTECODE

# One core would idle while mypy runs on an empty cache.
check: $(READY)
	$(MAKE) --no-print-directory --jobs 2 static fast

static:
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

fast:
	$(RUN) $(TESTS) -m '$(FAST)' $(NO_KERAS)

oldest-calls: $(OLDEST)/.ready
	$(OLDEST)/bin/python -W ignore $(TESTS) -W ignore -m '$(FAST)' $(CALLS)

newest-others: $(ELSEWHERE)/.ready
	$(ELSEWHERE)/bin/python $(TESTS) -m '$(FAST)' $(NO_KERAS) $(addprefix --ignore ,$(CALLS))

# In a process of its own: Ray replaces the handlers of signals.
elsewhere: $(ELSEWHERE)/.ready
	KERAS_BACKEND=jax $(ELSEWHERE)/bin/python $(TESTS) -n 0 -m 'elsewhere and not nightly' tests/run tests/testing tests/integrations

# One process, because each process that collects these tests imports TensorFlow first.
keras: $(READY)
	$(RUN) $(TESTS) -n 0 -m 'not nightly' tests/keras

patient: $(READY) $(ELSEWHERE)/.ready $(CORE)/.ready
	$(RUN) $(TESTS) -n 4 -m '$(PATIENT)' --ignore tests/keras

# A core that waits for a download, or for mypy, does something else meanwhile: the order of the first line matters.
test: $(READY)
	@echo '--- static checks, then fast tests with the oldest packages, while the other environments are installed'
	$(MAKE) --no-print-directory --jobs 2 $(OLDEST)/.ready static $(ELSEWHERE)/.ready oldest-calls $(CORE)/.ready
	@echo '--- fast tests on the newest Python, and tests of Ray and other libraries that are there alone'
	$(MAKE) --no-print-directory --jobs 2 newest-others elsewhere
	@echo '--- tests of Keras, and all others, of which many wait for processes of their own'
	$(MAKE) --no-print-directory --jobs 2 patient keras

nightly: $(READY) $(ELSEWHERE)/.ready $(OLDEST)/.ready $(CORE)/.ready
	$(RUN) -m mypy --config-file benchmarks/mypy.ini benchmarks
	$(RUN) $(TESTS) -m 'nightly and not elsewhere'
	$(ELSEWHERE)/bin/python -m pytest -m 'nightly and elsewhere' tests/run

fuzz: $(READY)
	REFINE_FUZZ=1000000 $(RUN) $(TESTS) -n 4 --dist load tests/store/test_fuzz.py

coverage: $(READY) $(ELSEWHERE)/.ready $(OLDEST)/.ready $(CORE)/.ready
	$(RUN) $(TESTS) --cov --cov-report=term:skip-covered

lowest: $(OLDEST)/.ready
	$(OLDEST)/bin/python -W ignore $(TESTS) -W ignore -m '$(FAST)' $(NO_KERAS)

newest: $(ELSEWHERE)/.ready
	$(ELSEWHERE)/bin/python $(TESTS) -m '$(FAST)' $(NO_KERAS)

core: $(CORE)/.ready
	$(RUN) -m pytest tests/test_core.py

backends:
	rm -f $(ELSEWHERE)/.ready
	$(MAKE) $(ELSEWHERE)/.ready

# The newest of everything, on the newest Python, but for TensorFlow.
$(ELSEWHERE)/.ready: pyproject.toml Makefile | $(READY)
	$(UV) venv --quiet --clear --python $(NEWEST) $(ELSEWHERE)
	$(UV) pip install --quiet --python $(ELSEWHERE)/bin/python --editable '.[$(WITHOUT_TENSORFLOW)]' --group test keras $(BACKENDS) dask-jobqueue mlflow tensorboard trackio wandb ConfigSpace keras-tuner polars 'ray[tune]' hydra-core optuna-dashboard
	touch $@

# The oldest that is allowed, on this Python.
$(OLDEST)/.ready: pyproject.toml Makefile | $(READY)
	$(UV) venv --quiet --clear --python $(RUN) $(OLDEST)
	$(UV) pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct --editable '.[$(WITHOUT_TENSORFLOW)]'
	$(UV) pip install --quiet --python $(OLDEST)/bin/python --group test
	touch $@

$(CORE)/.ready: pyproject.toml Makefile | $(READY)
	$(UV) venv --quiet --clear --python $(NEWEST) $(CORE)
	$(UV) pip install --quiet --python $(CORE)/bin/python --editable .
	touch $@

package: $(READY)
	$(UV) venv --quiet --clear --python $(RUN) $(PACKAGE)
	$(UV) pip install --quiet --python $(PACKAGE)/bin/python --group package
	rm -rf build dist
	$(PACKAGE)/bin/python -m build --quiet --outdir dist .
	rm -rf build
	$(PACKAGE)/bin/twine check --strict dist/*
	$(PACKAGE)/bin/pyroma --min=8 .  # two of its ten points are for a URL and an address, which there are none of yet
	$(PACKAGE)/bin/sp-repo-review .
	$(PACKAGE)/bin/zizmor --offline --quiet .github
	$(PACKAGE)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(PACKAGE)/bin/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(PACKAGE)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(PACKAGE)/bin/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

sizes: $(READY)
	$(RUN) benchmarks/install.py --write

docs: $(READY)
	OMP_NUM_THREADS=1 $(RUN) docs/pictures.py
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

docs-versions: $(READY)
	PATH="$(abspath $(VENV))/bin:$$PATH" NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mike deploy --config-file mkdocs-versions.yml --update-aliases $(shell sed -n 's/VERSION = "\(.*\)"/\1/p' refine/_version.py) latest

bench: $(READY)
	$(RUN) benchmarks/overhead.py
	$(RUN) benchmarks/start.py

bench-keras: $(READY)
	$(RUN) benchmarks/keras_fit.py

bench-scale: $(READY)
	$(RUN) benchmarks/scale.py

chaos: $(READY)
	$(RUN) benchmarks/chaos.py
	$(RUN) benchmarks/chaos.py --store sqlite --minutes 5 --objective command --beside page assistant

bench-search: $(READY)
	$(RUN) -m pip install --quiet --group bench
	OMP_NUM_THREADS=1 $(RUN) benchmarks/budget.py

bench-proposals: $(READY)
	$(RUN) -m pip install --quiet --group bench
	OMP_NUM_THREADS=1 $(RUN) benchmarks/proposals.py --write
	for each in deterministic conditions peaks histories pruning; do OMP_NUM_THREADS=1 $(RUN) benchmarks/$$each.py || exit 1; done

bench-worth: $(READY)
	$(RUN) -m pip install --quiet --group bench
	OMP_NUM_THREADS=1 $(RUN) benchmarks/worth.py

page: $(READY)
	cd frontend && npm install --no-package-lock --no-audit --no-fund --silent && npm run --silent build

clean:
	rm -rf $(VENV) $(ELSEWHERE) $(OLDEST) $(CORE) $(PACKAGE) dist frontend/node_modules demo-output site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
