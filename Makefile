# Everything the project does is one of these; `make help` lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(VENV)/bin/pip --disable-pip-version-check -q
PORT_OPTION = $(if $(PORT),--port $(PORT))

.DEFAULT_GOAL := help
.PHONY: help setup run run-gateway test lint bench faults fuzz soak fleet platform picture board image deploy monitor identity erase-identity flash provision clean

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

$(VENV)/test-inputs/ready: $(VENV)/ready requirements-test-inputs.txt
	@$(PIP) download --no-deps --only-binary :all: --require-hashes -d $(VENV)/test-inputs -r requirements-test-inputs.txt
	@touch $@

run: $(VENV)/ready ## the main job: a blank board registers, stores its secret, connects; twice
	@$(PY) -m tools.story

run-gateway: $(VENV)/ready ## a gateway brings 100 sub-devices online, reboots, and does it again
	@$(PY) -m tools.gateway_story

test: $(VENV)/ready $(VENV)/linkkit/ready $(VENV)/test-inputs/ready ## the whole test suite; with PORT=... the board's part of it, on that board
	@$(PY) -m pytest $(if $(PORT),-p no:xdist --port $(PORT),-n 2)

lint: $(VENV)/ready $(VENV)/stubs/ready ## ruff, and type checks of the tools and of the device code
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/mypy --config-file firmware/mypy.ini

bench: $(VENV)/ready $(VENV)/linkkit/ready ## measure heap, flash, wire, time and scale into docs/benchmark.md
	@$(PY) -m tools.bench

faults: $(VENV)/ready ## every power cut and every byte of the network, in full: about 10 minutes
	@$(PY) -m tools.faults exhaustive
	@$(PY) -m tools.faults report

fuzz: $(VENV)/ready ## 100,000 mutated HTTP answers and MQTT streams each, inside MicroPython
	@$(PY) -m tools.faults fuzz $(if $(SEED),--seed $(SEED))
	@$(PY) -m tools.faults report

soak: $(VENV)/ready ## a thousand boots with random faults of all kinds: minutes [SEED=... BOOTS=...]
	@$(PY) -m tools.faults soak $(if $(SEED),--seed $(SEED)) $(if $(BOOTS),--boots $(BOOTS))
	@$(PY) -m tools.faults report

fleet: $(VENV)/ready ## a thousand devices powered on in the same second: docs/fleet-restart.svg
	@$(PY) -m tools.faults fleet
	@$(PY) -m tools.faults report

platform: $(VENV)/ready ## run the local IoT Platform; prints the address of its console
	@$(PY) -m tools.iot_platform $(if $(wildcard product.json),--product product.json)

picture: $(VENV)/ready ## make the README's picture of the console: docs/console.png
	@$(PY) -m pytest -p no:xdist tests/test_console_story.py --picture docs/console.png

board: $(VENV)/ready ## boot a simulated board against a running platform; leaves a REPL
	@$(PY) -m tools.board

image: $(VENV)/ready ## build the flash image from product.json and wifi.json
	@$(PY) -m tools.image

deploy: $(VENV)/ready ## put the package onto a board [PORT=...], follow its log until it is connected
	@$(PY) -m tools.deploy $(PORT_OPTION)

monitor: $(VENV)/ready ## follow a board's log [PORT=...]
	@$(PY) -m tools.deploy monitor $(PORT_OPTION)

identity: $(VENV)/ready ## what a board holds, secrets masked [PORT=...]
	@$(PY) -m tools.deploy identity $(PORT_OPTION)

erase-identity: $(VENV)/ready ## remove a board's device.json, after asking [PORT=...]
	@$(PY) -m tools.deploy erase-identity $(PORT_OPTION)

flash: $(VENV)/ready ## write firmware and files to a chip: FIRMWARE=file.bin [PORT=...]
	@$(PY) -m tools.flash --firmware "$(FIRMWARE)" $(PORT_OPTION)

provision: $(VENV)/ready ## write many boards: CSV=devices.csv [PORTS="..."]; see docs/factory.md
	@$(PY) -m tools.provision "$(CSV)" $(foreach port,$(PORTS),--port $(port))

clean: ## remove what the commands made, .venv included
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
