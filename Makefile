# GNU make 3.81 (macOS) or newer. `make` alone lists the commands.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
TEST_TOOLS := $(VENV)/installed-for-tests
BROWSER_TOOLS := $(VENV)/installed-for-browser-tests

# The sample, from a clean state and without the rest of the world: a proxy that is not there makes
# every attempt to reach the network fail at once.
HERMETIC := env -u COURSE_DATA -u COURSE_BACKBONE -u COURSE_MIRROR -u COURSE_SHARED \
	COURSE_PROFILE=sample CI=1 HF_HUB_OFFLINE=1 \
	HTTP_PROXY=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY=127.0.0.1,localhost \
	http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1,localhost
NBVAL := -p no:python --nbval-lax --nbval-current-env --nbval-cell-timeout 3600 \
	--nbval-kernel-startup-timeout 1800 --nbval-sanitize-with tests/nbval_sanitize.cfg

.PHONY: help run lab test test-browser bench soak notebooks slides site sample

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

run: $(INSTALLED)  ## run the whole course, then compare: PROFILE=sample|photos|full DATA=… BACKBONE=…
	@$(BIN)/python -m utils.notebooks run $(if $(PROFILE),--profile '$(PROFILE)') \
		$(if $(DATA),--data '$(DATA)') $(if $(BACKBONE),--backbone '$(BACKBONE)')

# What a control sends to a notebook may have 100 MB: a photo to upload is often larger than the
# 10 MB that are usual, and what is too large is dropped without a word.
lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks \
		--ServerApp.tornado_settings='{"websocket_max_message_size": 104857600}'

test: $(TEST_TOOLS)  ## check code, modules and every notebook, offline, on the sample
	$(BIN)/ruff check
	$(HERMETIC) $(BIN)/python -m pytest tests --durations=10
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT INT TERM && \
		echo '$(BIN)/python -m pytest $(NBVAL) notebooks' && \
		$(HERMETIC) COURSE_HOME="$$home" $(BIN)/python -m pytest $(NBVAL) notebooks --durations=10

test-browser: $(BROWSER_TOOLS)  ## work every notebook's controls in JupyterLab and Chromium: NAMES=03
	$(HERMETIC) $(BIN)/python -m pytest tests/browser --durations=10 $(if $(NAMES),-k '$(NAMES)')

bench: $(INSTALLED)  ## measure the course beside the article's code: NAMES="custom_cnn_epoch growth"
	@$(BIN)/python tests/benchmarks $(NAMES)

soak: $(TEST_TOOLS)  ## kill training, download, unpacking; feed damaged files: minutes; KILLS=20
	$(HERMETIC) $(BIN)/python tests/soak.py $(or $(KILLS),20)
	$(HERMETIC) $(BIN)/python -m pytest tests -m hypothesis --hypothesis-profile=soak

notebooks: $(TEST_TOOLS)  ## run the notebooks on the sample in place, clean them for committing: NAMES=03
	@$(BIN)/python -m utils.notebooks update $(NAMES)

slides: $(TEST_TOOLS)  ## a deck a notebook, with reveal.js beside it, into _build/slides
	@$(BIN)/python -m utils.notebook_slides

site: $(INSTALLED)  ## the notebooks as pages to read, without running them, into _build/site
	@$(BIN)/python -m utils.notebook_site

sample: $(INSTALLED)  ## redraw data/dogscats-sample.tgz: same seed, same bytes
	@$(BIN)/python -m utils.sample_pets

# pip comes last when a virtual environment is made: without it, it is half made, and made again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { echo \
		"The course needs Python 3.10 or newer, and '$(PYTHON)' is not: name one that is, for example" \
		"make $(or $(firstword $(MAKECMDGOALS)),run) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.txt | $(BIN)/pip
	@echo "Installing the course's packages into $(VENV) (once; a few minutes) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(TEST_TOOLS): tests/requirements.txt $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(BROWSER_TOOLS): tests/browser/requirements.txt $(TEST_TOOLS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
