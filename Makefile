# Everything the project does is one of these; `make help` lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(VENV)/bin/pip --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help setup run run-gateway test lint platform board image clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(VENV)/ready ## install everything into .venv (the others call it)

$(VENV)/ready: requirements.txt constraints.txt tools/frozen.py
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -r requirements.txt -c constraints.txt
	@$(PY) -m tools.frozen
	@touch $@

$(VENV)/stubs/ready: $(VENV)/ready requirements-stubs.txt
	@$(PIP) install --upgrade --target $(VENV)/stubs -r requirements-stubs.txt
	@touch $@

$(VENV)/linkkit/ready: $(VENV)/ready requirements-linkkit.txt
	@$(PYTHON) -m venv $(VENV)/linkkit
	@$(VENV)/linkkit/bin/pip --disable-pip-version-check -q install -r requirements-linkkit.txt
	@touch $@

run: $(VENV)/ready ## the main job: a blank board registers, stores its secret, connects; twice
	@$(PY) -m tools.story

run-gateway: $(VENV)/ready ## a gateway brings 100 sub-devices online, reboots, and does it again
	@$(PY) -m tools.gateway_story

test: $(VENV)/ready $(VENV)/linkkit/ready ## the whole test suite
	@$(PY) -m pytest -n 2

lint: $(VENV)/ready $(VENV)/stubs/ready ## ruff, and type checks of the tools and of the device code
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/mypy --config-file firmware/mypy.ini

platform: $(VENV)/ready ## run the local IoT Platform
	@$(PY) -m tools.iot_platform

board: $(VENV)/ready ## boot a simulated board against a running platform; leaves a REPL
	@$(PY) -m tools.board

image: $(VENV)/ready ## build the flash image from product.json and wifi.json
	@$(PY) -m tools.image

clean: ## remove what the commands made, .venv included
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
