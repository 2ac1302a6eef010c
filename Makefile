# make demo   set everything up and find a planted lesion (or: make demo IMAGE=scan.nii.gz)
# make test   set everything up and run the tests
# make lint   style checks
# make screenshots   draw the pictures of Screenshots/ in the test host (minutes)
# make cmake-lists   list every file that Slicer installs, after `git add` of new ones
# Needed: make and Python 3.11 or newer (PYTHON=/path/to/python chooses one).

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
IMAGE ?=
SOURCES := neurogen $(wildcard NeuroGen*/. NeonatalBrainAge/.) Testing
# Waiting threads that spin take the cores from those that work.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup demo test lint screenshots cmake-lists clean

setup: $(VENV)/setup.stamp

$(VENV)/setup.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[test]"
	touch $@

demo: setup
	$(BIN)/neurogen demo $(if $(IMAGE),"$(IMAGE)")

# One thread each: two processes share two cores.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

screenshots: setup
	$(BIN)/python Testing/slicer/make_screenshots.py NeuroGenAD
	$(BIN)/python Testing/slicer/make_screenshots.py NeuroGenHarmonize

cmake-lists:
	$(PYTHON) Testing/packaging/cmake_lists.py

clean:
	rm -rf $(VENV) build dist *.egg-info neurogen-demo
