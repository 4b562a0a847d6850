# Everything runs from here. Each verb makes .venv first if it is not there; that needs
# Python 3.11 or later with pip, and nothing else.

.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
READY := .venv/ready
PEERS := .cache/peers/ready

.PHONY: help demo flights test promises long crash lint bench lock clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## a catalogue of real photographs, workers, one of them killed
	$(BIN)/python -m examples.thumbnails.demo $(ARGS)

flights: $(READY) ## 336,776 real flights imported, ten questions asked; ARGS="--months 1" takes January
	rm -rf build/flights && mkdir -p build/flights
	$(BIN)/python -m examples.flights.load build/flights/flights.db $(ARGS)
	$(BIN)/python -m examples.flights.ask build/flights/flights.db

test: $(READY) ## all tests; K=word runs those whose name has it
	$(BIN)/python -m pytest -q -m "not long" $(if $(K),-k "$(K)")

promises: $(READY) ## each promise of the language has cases; says how many
	$(BIN)/python -m pytest -q -rP tests/aql/test_promises.py

long: $(READY) ## the tests that take their time
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -q $(if $(K),-k "$(K)")

crash: $(READY) ## 200 kills, then five programs at once, with tables; ARGS="--kills 50 --seed 1"
	$(BIN)/python tests/crash/long.py $(ARGS)

lint: $(READY) ## style, types, floors, generated files, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/unasync.py --check
	$(BIN)/python tools/house.py
	$(BIN)/python tools/docs.py --check
	$(BIN)/lint-imports
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --warnings

bench: $(READY) $(PEERS) ## floor, ours, peers; ARGS="jobs" measures one question
	$(BIN)/python -m benchmarks.run $(ARGS)

lock: $(READY) ## write requirements.lock and benchmarks/peers.lock anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-config --upgrade \
		--custom-compile-command "make lock" --quiet --output-file requirements.lock
	$(BIN)/uv pip compile benchmarks/peers.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-config --upgrade \
		--custom-compile-command "make lock" --quiet --output-file benchmarks/peers.lock

clean: ## remove what can be made again
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv: $(READY)

$(READY): requirements.lock pyproject.toml tools/venv.sh
	bash tools/venv.sh
	@touch $@

$(PEERS): benchmarks/peers.lock tools/venv.sh
	bash tools/venv.sh .cache/peers benchmarks/peers.lock
	@touch $@
