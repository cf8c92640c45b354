# make demo   sets everything up and runs the quickstart (a few minutes)
# make test   sets everything up, lints, and runs all but the slow tests
# make test-all   the same with all tests, on each backend; what CI runs
# make docs   sets everything up and builds the pages, build/docs/index.html
# make test-serving   installs KServe beside it and asks it over the network
#
# Needs python3 with venv; all else goes into a private environment, .venv,
# made once and used again.

PYTHON ?= python3
BACKENDS ?= tensorflow jax torch
VENV := .venv
BIN := $(VENV)/bin
# The one PyTorch that was tested. Set BACKENDS to test without it.
TORCH := torch==2.13.0
# A server that speaks TF Serving's REST protocol; not beside our own packages.
KSERVE := kserve==0.21.* tensorflow-cpu==2.21.*
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-all test-serving lint docs clean

demo: export KERAS_FGVC_QUIET = 1
demo: $(VENV)/demo.done
	$(BIN)/python examples/quickstart.py

test: lint
	$(BIN)/python tests/run_backends.py --quick tensorflow jax

test-all: lint $(VENV)/hub.done $(if $(filter torch,$(BACKENDS)),$(VENV)/torch.done)
	$(BIN)/python tests/run_backends.py $(BACKENDS)

test-serving: $(VENV)/test.done $(VENV)/kserve.done
	KERAS_FGVC_KSERVE=$(CURDIR)/$(VENV)/kserve/bin/python \
		$(BIN)/python -m pytest tests/serving

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A warning is an error: a dead link, a page in no list.
docs: $(VENV)/docs.done
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Open build/docs/index.html"

$(VENV)/demo.done: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[demo,train]"
	touch $@

$(VENV)/test.done: $(VENV)/demo.done
	$(BIN)/pip install --quiet --editable ".[demo,train,test]"
	touch $@

$(VENV)/docs.done: $(VENV)/demo.done
	$(BIN)/pip install --quiet --editable ".[demo,docs,train]"
	touch $@

# Without it the tests of KerasHub's backbones are skipped.
$(VENV)/hub.done: $(VENV)/test.done
	$(BIN)/pip install --quiet --editable ".[hub]"
	touch $@

$(VENV)/torch.done: $(VENV)/test.done
	$(BIN)/pip install --quiet "$(TORCH)"
	touch $@

$(VENV)/kserve.done: $(VENV)/demo.done
	$(PYTHON) -m venv $(VENV)/kserve
	$(VENV)/kserve/bin/pip install --quiet $(addsuffix ",$(addprefix ",$(KSERVE)))
	touch $@

clean:
	rm -rf $(VENV) build docs/api *.egg-info
