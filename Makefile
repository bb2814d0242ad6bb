# `make run`: the main job in short. `make test`: the tests. Both set themselves up.
# A machine with an NVIDIA driver gets the CUDA build of MXNet, any other the CPU build.

PROBE := $(or $(PYTHON),$(wildcard .venv/bin/python),python3)
DRIVER := $(shell $(PROBE) -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null && echo yes)
REQUIREMENTS := $(if $(DRIVER),requirements-cu112.txt,requirements.txt)
READY := .venv/ready-$(REQUIREMENTS)
COMMAND := .venv/bin/vaegan
# Python's own option for that, -P, is not in 3.10
MAIN := import runpy, sys; sys.path[:] = filter(None, sys.path); runpy.run_module('training', run_name='__main__', alter_sys=True)

.PHONY: help run test slow lint benchmark study
help:
	@echo 'make run    train a VAE, and a VAE against a discriminator, and compare (3 minutes)'
	@echo 'make test   run the tests'
	@echo 'make slow   run the tests that take minutes'
	@echo 'make lint   run the linter'
	@echo 'make study   train every anime experiment at a reduced scale (14 hours as recorded, beside other work)'
	@echo 'make benchmark   time a step: ours, the original'"'"'s, PyTorch'"'"'s (two hours)'

run: $(COMMAND)
	.venv/bin/python -m training demo

# A process a core, of one thread each; a file's tests share what they made
test: $(COMMAND)
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

slow: $(COMMAND)
	.venv/bin/python -m pip install --quiet --requirement tests/requirements-browser.txt --requirement training/requirements-export.txt
	.venv/bin/python -m pytest -m slow

lint: $(COMMAND)
	.venv/bin/python -m ruff check .

study: $(COMMAND)
	.venv/bin/python -m training study

# PyTorch stays out of the project's own environment
benchmark: $(COMMAND)
	test -x .venv/benchmarks/bin/python || .venv/bin/python -m venv .venv/benchmarks
	.venv/benchmarks/bin/python -m pip install --quiet --requirement tests/benchmarks/requirements.txt
	.venv/bin/python -m tests.benchmarks.throughput
	.venv/bin/python -m tests.benchmarks.epoch

# Made anew from nothing: both builds of MXNet install into the same folder, and an
# installation that was cut off has no mark
$(READY): $(REQUIREMENTS)
	@sh training/runtime/environment.sh $(REQUIREMENTS)
	@touch $@

# What `python -m training` does, from any folder, whatever packages lie there
$(COMMAND): $(READY)
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/.venv/bin/python" -c "%s" "$$@"\n' "$(CURDIR)" "$(CURDIR)" "$(MAIN)" > $@
	@chmod +x $@
