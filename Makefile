# Everything the project does is one of these; `make help` lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(VENV)/bin/pip --disable-pip-version-check -q
# `make NAME A=1` is `.venv/bin/aliyun-iot NAME --a 1`: whatever is given to make goes along, and
# PORT from the environment too.
CLI := $(VENV)/bin/aliyun-iot --from-make
GIVEN = $(if $(findstring environment,$(origin PORT)),PORT="$(PORT)") $(MAKEOVERRIDES)

.DEFAULT_GOAL := help
.PHONY: help setup run run-gateway test lint bench faults fuzz soak fleet platform picture board image deploy monitor identity erase-identity flash provision clean reset preregister nvs

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16
	@printf '\nVariables, as in make deploy PORT=/dev/ttyUSB0 (a flag: YES=1; several: ROOT="a.pem b.pem"):\n'
	@grep -hE '^#: ' $(MAKEFILE_LIST) | sed -E 's/^#: //' | expand -t 16
	@printf '\nWhat each means: $(VENV)/bin/aliyun-iot COMMAND --help\n'

#: deploy	PORT PRODUCT WIFI MAIN ROOT NO_SHIPPED_ROOTS GATEWAY OPTIMISE NO_FOLLOW TIMEOUT SETTLE
#: monitor	PORTS WAIT
#: reset	PORT
#: identity	PORT
#: erase-identity	PORT YES
#: flash	FIRMWARE PORT PRODUCT WIFI MAIN ROOT NO_SHIPPED_ROOTS GATEWAY OPTIMISE DEVICE BAUD
#: 	ERASE KEEP_IDENTITY YES OUTPUT FLASH_SIZE
#: image	PRODUCT WIFI MAIN ROOT NO_SHIPPED_ROOTS GATEWAY OPTIMISE DEVICE INCOMPLETE OUTPUT LIST
#: 	FIRMWARE FIRMWARE_VERSION FLASH_SIZE VFS_SIZE VFS_OFFSET DISK_VERSION
#: provision	CSV PORTS WATCH PRODUCT WIFI MAIN ROOT NO_SHIPPED_ROOTS GATEWAY OPTIMISE NO_PRODUCT
#: 	INCOMPLETE LOG REPORT REPLACE RELEASE IMAGES FIRMWARE FIRMWARE_VERSION FLASH_SIZE
#: preregister	PORTS OUTPUT PREFIX TEMPLATE BLANK
#: nvs	PRODUCT OUTPUT SIZE INCOMPLETE
#: platform	LISTEN HTTPS_PORT MQTT_TLS_PORT MQTT_PORT PRODUCT DEVICE DATABASE CERTIFICATES MEMORY NAME
#: 	REGION BEHAVIOUR LIST_BEHAVIOUR NO_LIMITS JSON VERBOSE INSTANCE CONSOLE CONSOLE_PORT
#: 	CONSOLE_TOKEN NO_CONSOLE
#: board	IMAGE PRODUCT WIFI AIR DEVICE ROOT MAC FOLDER ERASE HEAP NTP PTY PLATFORM HTTPS_PORT
#: 	MQTT_TLS_PORT MQTT_PORT RESOLVE
#: test	PORT
#: release	OUTPUT DIRTY
#: publish	TAG
#: port	MICROPYTHON_VERSION
#: fuzz, soak	SEED BOOTS

setup: $(VENV)/ready ## install everything into .venv (the others call it)

$(VENV)/ready: requirements.txt constraints.txt tools/frozen.py tools/entry.py
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -r requirements.txt -c constraints.txt
	@$(PY) -m tools.frozen
	@$(PY) -m tools.entry
	@touch $@

$(VENV)/stubs/ready: $(VENV)/ready requirements-stubs.txt
	@$(PIP) install --upgrade --target $(VENV)/stubs -r requirements-stubs.txt
	@touch $@

$(VENV)/charts/ready: $(VENV)/ready requirements-charts.txt constraints.txt
	@$(PIP) install -r requirements-charts.txt -c constraints.txt
	@mkdir -p $(@D) && touch $@

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

test: $(VENV)/charts/ready $(VENV)/linkkit/ready $(VENV)/test-inputs/ready ## the whole test suite; with PORT=... the board's part of it, on that board
	@$(PY) -m pytest $(if $(PORT),-p no:xdist --port=$(PORT),-n 6 --dist worksteal)

lint: $(VENV)/charts/ready $(VENV)/stubs/ready ## ruff, and type checks of the tools and of the device code
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/mypy --config-file firmware/mypy.ini
	@$(VENV)/bin/mypy --config-file typings/mypy.ini

bench: $(VENV)/charts/ready $(VENV)/linkkit/ready ## measure heap, flash, wire, time and scale into docs/benchmark.md
	@$(PY) -m tools.bench

faults: $(VENV)/ready ## every power cut and every byte of the network, in full: about 10 minutes
	@$(PY) -m tools.faults exhaustive
	@$(PY) -m tools.faults report

fuzz: $(VENV)/ready ## 100,000 mutated HTTP answers and MQTT streams each, 5,000 gateway replies, inside MicroPython
	@$(PY) -m tools.faults fuzz $(if $(SEED),--seed $(SEED))
	@$(PY) -m tools.faults report

soak: $(VENV)/ready ## a thousand boots with random faults of all kinds: minutes [SEED=... BOOTS=...]
	@$(PY) -m tools.faults soak $(if $(SEED),--seed $(SEED)) $(if $(BOOTS),--boots $(BOOTS))
	@$(PY) -m tools.faults report

fleet: $(VENV)/charts/ready ## a thousand devices powered on at once; 200 boards moved to another instance
	@$(PY) -m tools.faults fleet
	@$(PY) -m tools.faults move
	@$(PY) -m tools.faults report

platform: $(VENV)/ready ## run the local IoT Platform; prints the address of its console
	@$(CLI) platform $(if $(PRODUCT),,$(if $(wildcard product.json),PRODUCT=product.json)) $(MAKEOVERRIDES)

picture: $(VENV)/ready ## make the README's pictures: docs/run.svg and docs/console.png
	@$(PY) -m tools.story --picture docs/run.svg
	@$(PY) -m pytest -p no:xdist tests/test_console_story.py --picture docs/console.png

board: $(VENV)/ready ## boot a simulated board against a running platform; leaves a REPL
	@$(CLI) board $(MAKEOVERRIDES)

image: $(VENV)/ready ## build the flash image from product.json and wifi.json
	@$(CLI) image $(MAKEOVERRIDES)

deploy: $(VENV)/ready ## put the package onto a board, follow its log until the application runs
	@$(CLI) deploy $(GIVEN)

monitor: $(VENV)/ready ## follow the log of one board or several
	@$(CLI) monitor $(GIVEN)

reset: $(VENV)/ready ## start a board anew
	@$(CLI) reset $(GIVEN)

identity: $(VENV)/ready ## what a board holds, secrets masked
	@$(CLI) identity $(GIVEN)

erase-identity: $(VENV)/ready ## remove a board's identity, after asking
	@$(CLI) erase-identity $(GIVEN)

flash: $(VENV)/ready ## write firmware and files to a chip: FIRMWARE=file.bin
	@$(CLI) flash $(GIVEN)

provision: $(VENV)/ready ## write many boards: CSV=devices.csv; see docs/factory.md
	@$(CLI) provision $(GIVEN)

preregister: $(VENV)/ready ## list the boards' DeviceNames for the platform's console
	@$(CLI) preregister $(GIVEN)

nvs: $(VENV)/ready ## make an NVS partition that carries the product certificate
	@$(CLI) nvs $(MAKEOVERRIDES)

clean: ## remove what the commands made, .venv included
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

.PHONY: release reference publish port

release: $(VENV)/ready ## build what a release consists of into dist/
	@$(CLI) release $(MAKEOVERRIDES)

reference: $(VENV)/ready ## write docs/api.md and the picture in docs/architecture.md
	@$(PY) -m tools.reference

publish: ## put dist/ on the forge as the release of a tag: TAG=v0.1.0 (the release workflow does)
	@gh release create "$(TAG)" --verify-tag --title "aliyun_iot $(TAG)" --notes-file dist/notes.md \
		dist/*.tar.gz dist/images/*.bin dist/sbom.cdx.json dist/SHA256SUMS

port: ## build a release of MicroPython's unix port to test with: MICROPYTHON_VERSION=1.25.0
	@rm -rf "$(PORT_SOURCES)"
	@git clone -q --depth 1 --branch "v$(MICROPYTHON_VERSION)" https://github.com/micropython/micropython "$(PORT_SOURCES)"
	@$(MAKE) -C "$(PORT_SOURCES)/mpy-cross"
	@$(MAKE) -C "$(PORT_SOURCES)/ports/unix" submodules
	@$(MAKE) -C "$(PORT_SOURCES)/ports/unix"
	@cp "$(PORT_SOURCES)/ports/unix/build-standard/micropython" "$(PORT_SOURCES)/micropython"

PORT_SOURCES = build/micropython-$(or $(MICROPYTHON_VERSION),$(error which? MICROPYTHON_VERSION=1.25.0))
