# make demo   the main job on a fresh machine
# make check  format, lint, types, layers, and the tests that need no TensorFlow, browser, cluster or patience
# make slow   which tests make check leaves out, measured anew; half an hour
# make test   everything CI checks
# make coverage  the same tests, and which lines they run; slower
# make lowest the fast tests with the oldest versions that pyproject.toml allows; ten minutes
# make backends  Keras on JAX without TensorFlow, trackers and dask-jobqueue, on the newest Python that is here, for tests that need them; BACKENDS='jax torch' for PyTorch too
# make docs   pictures and pages of the documentation, into site/; a minute
# make page   the review page's script, from frontend/; needs Node
# make bench  speed, beside the peers, in one run
# make bench-keras  trainings beside model.fit; ten minutes
# make bench-scale  own time at 100,000 trials, workers, large grids, trees of 1,000 rounds, a million trials, beside Optuna, Keras Tuner and Talos; an hour
# make chaos  kills, stops and restarts of workers, coordinator and database, at random; 25 minutes, needs PostgreSQL
# make bench-search  autopilot with a budget beside automatic search, and how often it generalises worse; an hour
# make bench-proposals  whether proposals are worth following, beside automatic search; an hour
# make bench-worth  whether another round is worth it: verdicts, and what ending a search saves and loses; twenty minutes

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
BACKENDS ?= jax
ELSEWHERE := .venv-backends
OLDEST := .venv-oldest
# uv's Python for an environment: the newest that is here and starts.
NEWEST ?= $(firstword $(foreach v,3.14 3.13 3.12 3.11,$(if $(shell python$(v) -c 'print(1)' 2>/dev/null),python$(v))) $(RUN))
FAST = -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/docs -m 'not (slow or keras or browser or cluster)'
TESTS = 'pytest>=8.3' 'pytest-xdist>=3.6' 'hypothesis>=6.100'

.PHONY: demo check slow test coverage lowest newest backends docs chaos bench bench-keras bench-scale bench-search bench-proposals bench-worth clean page

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("refine needs Python >= 3.11, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable . --group dev
	touch $(READY)

demo: $(READY)
	$(RUN) examples/breast_cancer.py --out demo-output

check: $(READY)
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not (slow or keras or browser or cluster)'

slow: $(READY)
	$(RUN) -m pytest -m 'not (keras or browser or cluster)' --ignore tests/docs --note-slow

test: $(READY) $(ELSEWHERE)/.ready $(OLDEST)/.ready
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

coverage: $(READY) $(ELSEWHERE)/.ready $(OLDEST)/.ready
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

lowest: $(READY)
	$(RUN) -m pip install --quiet uv
	$(RUN) -m uv venv --quiet --clear --python $(RUN) .venv-lowest
	$(RUN) -m uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct . $(TESTS)
	.venv-lowest/bin/python -W ignore -m pytest -W ignore $(FAST)

newest: $(READY)
	$(RUN) -m pip install --quiet uv
	$(RUN) -m uv venv --quiet --clear --python $(NEWEST) .venv-newest
	echo 'tensorflow ; python_version < "3"' > .venv-newest/overrides.txt
	$(RUN) -m uv pip install --quiet --python .venv-newest/bin/python . $(TESTS) || \
	$(RUN) -m uv pip install --quiet --python .venv-newest/bin/python --overrides .venv-newest/overrides.txt . $(TESTS)
	.venv-newest/bin/python -W ignore -m pytest -W ignore $(FAST)

backends:
	rm -f $(ELSEWHERE)/.ready
	$(MAKE) $(ELSEWHERE)/.ready

# All that refine needs but TensorFlow, which an override without a Python to match leaves out.
$(ELSEWHERE)/.ready: pyproject.toml Makefile | $(READY)
	$(RUN) -m pip install --quiet uv
	$(RUN) -m uv venv --quiet --clear --python $(NEWEST) $(ELSEWHERE)
	echo 'tensorflow ; python_version < "3"' > $(ELSEWHERE)/overrides.txt
	$(RUN) -m uv pip install --quiet --python $(ELSEWHERE)/bin/python --overrides $(ELSEWHERE)/overrides.txt -r pyproject.toml keras $(BACKENDS) dask-jobqueue mlflow tensorboard trackio wandb
	touch $@

# The same with the oldest versions that are allowed.
$(OLDEST)/.ready: pyproject.toml Makefile | $(READY)
	$(RUN) -m pip install --quiet uv
	$(RUN) -m uv venv --quiet --clear --python $(RUN) $(OLDEST)
	echo 'tensorflow ; python_version < "3"' > $(OLDEST)/overrides.txt
	$(RUN) -m uv pip install --quiet --python $(OLDEST)/bin/python --overrides $(OLDEST)/overrides.txt --resolution lowest-direct -r pyproject.toml
	touch $@

docs: $(READY)
	OMP_NUM_THREADS=1 $(RUN) docs/pictures.py
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

bench: $(READY)
	$(RUN) benchmarks/overhead.py
	$(RUN) benchmarks/start.py

bench-keras: $(READY)
	$(RUN) benchmarks/keras_fit.py

bench-scale: $(READY)
	$(RUN) -m pip install --quiet --group bench
	$(RUN) benchmarks/scale.py

chaos: $(READY)
	$(RUN) benchmarks/chaos.py

bench-search: $(READY)
	$(RUN) -m pip install --quiet --group bench
	OMP_NUM_THREADS=1 $(RUN) benchmarks/budget.py
	OMP_NUM_THREADS=1 $(RUN) benchmarks/overtuning.py

bench-proposals: $(READY)
	$(RUN) -m pip install --quiet --group bench
	OMP_NUM_THREADS=1 $(RUN) benchmarks/proposals.py --write

bench-worth: $(READY)
	$(RUN) -m pip install --quiet --group bench
	OMP_NUM_THREADS=1 $(RUN) benchmarks/worth.py

page: $(READY)
	$(RUN) -m refine.ui.web.messages frontend
	cd frontend && npm install --no-package-lock --no-audit --no-fund --silent && npm run --silent build

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest $(ELSEWHERE) $(OLDEST) frontend/node_modules demo-output site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
