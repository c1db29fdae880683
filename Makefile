# make install       install the packages only, for studies of your own
# make demo          install what is needed and run the demo study
# make test          install what is needed and run all checks and tests, except the slow ones below
# make test-slow     change, kill and damage whole studies, and run them with hostile names
# make test-commands run the commands of the README and the tutorials in a new folder, the demo among them
# make test-fairseq  compare wav2vec with fairseq, which needs Python 3.8 to 3.10
# make test-slurm    start a SLURM cluster of one node here (as root), and run studies on it
# make test-gpu      check trainings and features on a GPU; no installation: make PYTHON_GPU=python3 test-gpu
# make bench-gpu     measure them, and compute the hours of config/iemocap.yaml; both take five minutes
# make docs          build the documentation into site/, which opens offline
# make bench         repeat the measurements of docs/explanation/benchmarks.md
# make evidence      check the statistics by simulation, and by the demo with permuted labels
# make format        format code and rules
# make schema        write the JSON schema of the configuration and the conda environment again

PYTHON ?= python3
CORES ?= 2
VENV := .venv
BIN := $(VENV)/bin
DEMO := results/demo
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c envs/constraints.txt
COMMANDS := tests/workflow/test_documented_commands.py
INPUTS := pyproject.toml envs/constraints.txt

.PHONY: install demo docs test check-style check-types check-rules check-docs test-slow test-commands test-fairseq test-slurm test-gpu bench-gpu bench evidence simulate_statistics simulate_curves format schema clean-demo

install: $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/snakemake --cores $(CORES) $$(test -t 2 && echo --logger rich)
	@$(BIN)/python scripts/show_results.py $(DEMO)

CHECKS := check-style check-types check-rules check-docs

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target $(CHECKS)
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 10

$(CHECKS): $(VENV)/.dev

check-style:
	$(BIN)/ruff check --no-cache
	$(BIN)/ruff format --check
	$(BIN)/numpydoc lint $$(find workflow/emoscale -name '*.py')

check-types:
	$(BIN)/mypy

check-rules:
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

check-docs:
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir site

docs: check-docs
	@echo "the documentation is site/index.html; to search in it: .venv/bin/mkdocs serve"

test-slow: $(VENV)/.dev
	$(BIN)/pytest --numprocesses 2 --dist loadfile --durations 10 -m slow tests --ignore $(COMMANDS)

test-commands: $(VENV)/.dev
	$(BIN)/pytest -m slow $(COMMANDS)

# The first of these that exists (also of pyenv); FAIRSEQ_BASE=python3.10 names another.
FAIRSEQ_BASE ?= $(shell for p in python3.10 python3.9 python3.8 $$(ls -d $$HOME/.pyenv/versions/3.10*/bin/python $$HOME/.pyenv/versions/3.9*/bin/python $$HOME/.pyenv/versions/3.8*/bin/python 2> /dev/null); do "$$p" -c '' 2> /dev/null && { echo "$$p"; break; }; done)
FAIRSEQ := .venv-fairseq

test-fairseq: $(VENV)/.dev
ifeq ($(FAIRSEQ_BASE),)
	@echo "skipped: there is no Python 3.8 to 3.10 here, which fairseq 0.12.2 needs; install one, or name it: make FAIRSEQ_BASE=python3.10 test-fairseq"
else
	@$(MAKE) --no-print-directory $(FAIRSEQ)/.ready
	FAIRSEQ_PYTHON=$(abspath $(FAIRSEQ)/bin/python) $(BIN)/pytest -s tests/fairseq
endif

$(FAIRSEQ)/.ready: envs/fairseq.txt
	@echo "installing fairseq and its torch into $(FAIRSEQ): a minute or two"
	$(FAIRSEQ_BASE) -m venv $(FAIRSEQ)
	$(FAIRSEQ)/bin/pip install --quiet --disable-pip-version-check 'pip<24.1'
	$(FAIRSEQ)/bin/pip install --quiet --disable-pip-version-check -r envs/fairseq.txt
	@touch $@

# Skips with a reason where SLURM's packages are missing.
test-slurm: $(VENV)/.dev
	EMOSCALE_SLURM=1 PATH="$$PATH:/usr/sbin" $(BIN)/pytest -s tests/slurm

# They need torch, numpy, h5py, safetensors, transformers, PyYAML, click and rich only.
# PYTHON_GPU=python3 names an interpreter that has them; by default it is that of the environment.
PYTHON_GPU ?= $(BIN)/python
OUTPUT_GPU ?= results

test-gpu bench-gpu: export PYTHONPATH := workflow:.
test-gpu bench-gpu: $(if $(filter $(BIN)/python,$(PYTHON_GPU)),$(VENV)/.dev)

test-gpu:
	$(PYTHON_GPU) -m tests.gpu.check --output $(OUTPUT_GPU)/test-gpu.json

bench-gpu:
	$(PYTHON_GPU) benchmarks/gpu_speed.py --output $(OUTPUT_GPU)/bench-gpu.json

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/plan_large_study.py
	$(BIN)/python benchmarks/extraction_speed.py
	$(BIN)/python benchmarks/extraction_memory.py
	$(BIN)/python benchmarks/pretraining_speed.py
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/own_against_torch.py
	$(BIN)/python benchmarks/corpus_digests.py

# The simulations take one core each; the demo takes two.
evidence: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target simulate_statistics simulate_curves
	$(BIN)/python -m tests.evidence.shuffled_demo

simulate_statistics simulate_curves: $(VENV)/.dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.evidence.$@

format: $(VENV)/.dev
	$(BIN)/ruff check --no-cache --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow/rules

schema: $(VENV)/.dev
	$(BIN)/python scripts/write_schema.py
	$(BIN)/python scripts/pin_environment.py

clean-demo:
	rm -rf $(DEMO)

$(VENV)/bin/python:
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or name yours: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: name a newer one, for example make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python $(INPUTS)
	@echo "installing the pinned packages into $(VENV): a minute or two"
	$(INSTALL) -e '.[demo,opensmile]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python $(INPUTS)
	@echo "installing the pinned packages into $(VENV): a minute or two"
	$(INSTALL) -e '.[demo,dev]'
	@touch $@
