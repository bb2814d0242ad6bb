# `make run`: the main job in short. `make test`: the tests. Both set themselves up.
# A machine with an NVIDIA driver gets the CUDA build of MXNet, any other the CPU build.

PYTHON ?= $(or $(shell command -v python3.11),python3)
DRIVER := $(shell $(PYTHON) -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null && echo yes)
REQUIREMENTS := $(if $(DRIVER),requirements-cu112.txt,requirements.txt)
READY := .venv/ready-$(REQUIREMENTS)
COMMAND := .venv/bin/vaegan

.PHONY: help run test slow lint benchmark gallery
help:
	@echo 'make run    train a VAE, and a VAE against a discriminator, and compare (3 minutes)'
	@echo 'make test   run the tests'
	@echo 'make slow   run the tests that take minutes'
	@echo 'make lint   run the linter'
	@echo 'make gallery   train every anime experiment at a reduced scale (5 hours)'
	@echo 'make benchmark   time a step: ours, the original'"'"'s, PyTorch'"'"'s (40 minutes)'

run: $(COMMAND)
	.venv/bin/python -m training demo

test: $(COMMAND)
	.venv/bin/python -m pytest

slow: $(COMMAND)
	.venv/bin/python -m pip install --quiet --requirement tests/requirements-browser.txt
	.venv/bin/python -m pytest -m slow

lint: $(COMMAND)
	.venv/bin/python -m ruff check .

gallery: $(COMMAND)
	.venv/bin/python -m training gallery

# PyTorch stays out of the project's own environment
benchmark: $(COMMAND)
	test -x .venv/benchmarks/bin/python || $(PYTHON) -m venv .venv/benchmarks
	.venv/benchmarks/bin/python -m pip install --quiet --requirement tests/benchmarks/requirements.txt
	.venv/bin/python -m tests.benchmarks.throughput
	.venv/bin/python -m tests.benchmarks.epoch

# Made anew from nothing: both builds of MXNet install into the same folder, and an
# installation that was cut off has no mark
$(READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "this project needs Python 3.11; $(PYTHON) is %d.%d (make PYTHON=... names another)" % sys.version_info[:2])'
	@$(PYTHON) -c 'import platform, sys; p = platform.system(), platform.machine(); sys.exit(p != ("Linux", "x86_64") and "this project needs Linux on x86-64, for MXNet 1.9.1; this is %s on %s" % p)'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --requirement $(REQUIREMENTS)
	@touch $@

# What `python -m training` does, from any folder, whatever packages lie there
$(COMMAND): $(READY)
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/.venv/bin/python" -P -m training "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $@
	@chmod +x $@
