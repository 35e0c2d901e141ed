# All commands for working on this repository. Each target does its own set-up, in .venv, and is quick the second time:
# packages are installed only when the stamp in .make is older than the files that name them.
#
#   make install                into .venv; LOCKED=1 installs nothing but the files that requirements.lock names by their hashes
#   make up                     a farm with the bundled demos; ARGS="my-space --gpus 0,1" for another one
#   make test                   all tests; ARGS="tests/unit -k codec" for some, JOBS=1 for one file at a time
#   make test-gradio-5          the pages on Gradio 5.49; test-gradio-4: on 4.44; FORKED=1: as forks of a fork server
#   make test-forked            the pages as forks of a fork server, on the farm's Gradio
#   make test-majors            the patterns of docs/zerogpu.md on Gradio 6, 5 and 4, both ways; ARGS="5-plain 5-forked" for some
#   make test-official          our claims of equality, checked against the official package
#   make test-libraries         what libraries do in a child, each in an environment of its own; ARGS="-k polars" for some
#   make test-clients           clients for JavaScript, Python and MCP at Gradio 6, 5 and 4; needs node, and npm's index
#   make pictures               the pictures in docs, from a farm with the demos
#   make reference              the references in docs, from the code
#   make chaos                  a farm whose parts fail under load; HOUR=1 for an hour of seeds
#   make lock audit sbom        the hashed list of packages; what is known against them; what an installation consists of
#   make lint bench install clean

SHELL := /bin/bash
VENV := .venv
STAMPS := .make

# The first Python that is new enough and can make virtual environments; PYTHON=... chooses another.
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3; do \
	$$each -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)

# Without an NVIDIA driver, torch without CUDA: a tenth of the size. TORCH_INDEX= takes pip's own index.
TORCH_INDEX ?= $(if $(wildcard /proc/driver/nvidia/version),,https://download.pytorch.org/whl/cpu)

# Test files that run at once. They wait for processes more than they compute, so one more than there are cores.
JOBS ?= $(shell echo $$(( $$(nproc) < 8 ? $$(nproc) + 1 : 8 )))

BENCHMARKS ?= latency payload ranking waiting forecasts warmth warmth_weight depth throughput recovery broker swap
GRADIO_TESTS := $(addprefix tests/end_to_end/test_,web.py patterns.py import_calls.py files.py globals.py launch.py \
	servers.py prefix.py mcp.py state_deletion.py errors.py refusals.py farm_faults.py quota.py weights.py) tests/processes/test_aoti.py

# torch and what it brings along. Which build of torch fits depends on the machine, so that requirements.lock cannot name
# its file: constraints.txt has its version.
OF_TORCH := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc \
	cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)

# The tools of `audit` and `sbom`, each in an environment of its own that uv makes.
PIP_AUDIT := pip-audit@2.10.1
CYCLONEDX := cyclonedx-bom@7.5.0

.PHONY: install up test test-gradio-5 test-gradio-4 test-forked test-majors test-official test-libraries test-containers test-clients pictures reference chaos lint bench lock audit sbom clean chromium

install: $(STAMPS)/installed

up: install
	$(VENV)/bin/zerofarm up $(ARGS)

test: install chromium
	CHROMIUM="$$($(find_chromium))" $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

# The pages of Spaces on older versions of Gradio, each in its own environment. Needs the package index once.
test-gradio-5 test-gradio-4: install chromium
	TEST_GRADIO=$(if $(filter %-5,$@),5.49.1,4.44.1) TEST_FORKED=$(FORKED) $(VENV)/bin/python -m pytest $(GRADIO_TESTS) $(ARGS)

# Pages and zygotes as `zerofarm up` has them where it serves several Spaces; in the other tests each is a program.
test-forked: install chromium
	CHROMIUM="$$($(find_chromium))" TEST_FORKED=1 $(VENV)/bin/python -m pytest $(GRADIO_TESTS) $(ARGS)

# The patterns of real Spaces on each major version of Gradio, forked and plain, in one table. Needs the package index once.
test-majors: install chromium
	CHROMIUM="$$($(find_chromium))" $(VENV)/bin/python -m tests.majors $(ARGS)

# Our claims of equality with the official package, checked against that package. Needs the package index, and for its
# emulation of CUDA a torch built with CUDA, but no GPU.
test-official: install
	TEST_OFFICIAL=1 $(VENV)/bin/python -m pytest tests/official $(ARGS)

# What libraries with threads of their own do in a child of a Space that used them before; needs the package index.
test-libraries: install
	TEST_LIBRARIES=1 $(VENV)/bin/python -m pytest tests/libraries $(ARGS)

# Builds the images and runs the farm of docker-compose.yml on stand-ins. Needs Docker, or COMPOSE=podman-compose, and
# port 7860 of 127.0.0.1. TEST_COMPOSE_FILES names files to add, TEST_COMPOSE_BUILD=0 uses images that exist.
test-containers: install
	TEST_CONTAINERS=1 COMPOSE="$(or $(COMPOSE),docker compose)" $(VENV)/bin/python -m pytest tests/containers $(ARGS)

# Clients of other makers, each at pages on Gradio 6, 5 and 4 behind one front door. Needs node, and the indexes of npm
# and Python once.
test-clients: install
	TEST_CLIENTS=1 $(VENV)/bin/python -m pytest tests/clients $(ARGS)

pictures: install chromium
	CHROMIUM="$$($(find_chromium))" $(VENV)/bin/python -m docs.pictures
	CHROMIUM="$$($(find_chromium))" $(VENV)/bin/python -m docs.tutorial_pictures

reference: install
	$(VENV)/bin/python -m docs.reference

# Each seed is another order of faults. The tests run three short ones; HOUR=1 runs seeds for an hour.
chaos: install
	@if [ -z "$(HOUR)" ]; then $(VENV)/bin/python -m chaos $(ARGS); exit; fi; \
	end=$$((SECONDS + 3600)); seed=1; failed=0; \
	while [ $$SECONDS -lt $$end ]; do $(VENV)/bin/python -m chaos --seed $$((seed++)) --calls 1000 $(ARGS) || failed=1; done; \
	exit $$failed

lint: install
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

bench: install
	set -e; for each in $(BENCHMARKS); do echo "== $$each"; $(VENV)/bin/python -m benchmarks.$$each; done

# Whatever a farm runs, each file by its hash, for every platform. To be repeated after each change of constraints.txt.
lock: install
	$(VENV)/bin/uv pip compile -q pyproject.toml --extra worker --extra app --extra tracing -c constraints.txt --universal \
	  --python-version 3.11 --generate-hashes $(addprefix --no-emit-package ,$(OF_TORCH)) \
	  --custom-compile-command "make lock" -o requirements.lock

# Asks a database on the network about each package of the lock, and about torch.
audit: install
	$(VENV)/bin/uvx -q $(PIP_AUDIT) --strict --no-deps --disable-pip -r requirements.lock
	$(VENV)/bin/uvx -q $(PIP_AUDIT) --strict --no-deps --disable-pip -r <(grep '^torch==' constraints.txt)

# In CycloneDX's form, of all that is installed here.
sbom: install
	mkdir -p dist
	$(VENV)/bin/uvx -q --from $(CYCLONEDX) cyclonedx-py environment --pyproject pyproject.toml \
	  --output-reproducible -o dist/sbom.json $(VENV)/bin/python

clean:
	rm -rf $(VENV) $(STAMPS) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed:" \
	"apt-get install python3-venv, or PYTHON=/path/to/python make" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch comes first, by itself, so that packages which need it find the build that was chosen here.
$(STAMPS)/installed: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt requirements.lock
	@echo "Installing into $(VENV); the first time takes some minutes."
	$(VENV)/bin/pip install -q -c constraints.txt $$($(reachable_torch_index)) torch
	[ -z "$(LOCKED)" ] || $(VENV)/bin/pip install -q --no-deps --require-hashes -r requirements.lock
	$(VENV)/bin/pip install -q -c constraints.txt -e ".[worker,app,tracing,dev]"
	mkdir -p $(STAMPS)
	touch $@

# pip would wait minutes for an index that does not answer.
define reachable_torch_index
$(VENV)/bin/python -c 'import sys, urllib.request as r; i = sys.argv[1]; i and r.urlopen(i, timeout=10); \
	print("--extra-index-url", i) if i else None' "$(TORCH_INDEX)" 2>/dev/null
endef

# For the tests of pages. CHROMIUM=/path/to/chromium selects a browser that is not on PATH.
define find_chromium
for each in "$$CHROMIUM" chromium chromium-browser google-chrome; do \
	found=$$(command -v "$$each" 2>/dev/null) && echo "$$found" && break; done
endef

chromium:
	@test -n "$$($(find_chromium))" || { \
	  echo "Chromium is missing and is installed by apt-get."; \
	  as_root=$$(test "$$(id -u)" = 0 || echo sudo); \
	  if ! command -v apt-get >/dev/null || { test -n "$$as_root" && ! command -v sudo >/dev/null; }; then \
	    echo "It cannot be: install Chromium or Chrome, or name it by CHROMIUM=/path/to/chromium" >&2; exit 1; \
	  fi; \
	  $$as_root apt-get update -q && $$as_root apt-get install -q -y --no-install-recommends chromium; }
