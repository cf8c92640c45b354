# make demo   sets everything up and runs the quickstart (a few minutes)
# make test   sets everything up, lints, and runs the tests on each backend
#
# Needs python3 with venv; all else goes into a private environment, .venv,
# made once and used again.

PYTHON ?= python3
BACKENDS ?= tensorflow jax
VENV := .venv
BIN := $(VENV)/bin
# The one PyTorch that was tested. Only asked for by name in BACKENDS.
TORCH := torch==2.13.0
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test lint clean

demo: $(VENV)/demo.done
	$(BIN)/python examples/quickstart.py

test: lint $(if $(filter torch,$(BACKENDS)),$(VENV)/torch.done)
	$(BIN)/python tests/run_backends.py $(BACKENDS)

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/demo.done: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[demo,train]"
	touch $@

$(VENV)/test.done: $(VENV)/demo.done
	$(BIN)/pip install --quiet --editable ".[demo,train,test]"
	touch $@

$(VENV)/torch.done: $(VENV)/test.done
	$(BIN)/pip install --quiet "$(TORCH)"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
