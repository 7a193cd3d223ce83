# GNU make 3.81 (macOS) or newer. `make` alone lists the commands.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DEV_TOOLS := $(VENV)/installed-for-development
BROWSER_TOOLS := $(VENV)/installed-for-browser-tests

# The sample, from a clean state and without the rest of the world: a proxy that is not there makes
# every attempt to reach the network fail at once.
HERMETIC := env -u COURSE_DATA -u COURSE_BACKBONE -u COURSE_MIRROR -u COURSE_SHARED \
	COURSE_PROFILE=sample CI=1 HF_HUB_OFFLINE=1 \
	HTTP_PROXY=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY=127.0.0.1,localhost \
	http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1,localhost
NBVAL := -p no:python --nbval-lax --nbval-current-env --nbval-cell-timeout 3600 \
	--nbval-sanitize-with tests/nbval_sanitize.cfg

# What the choices of `make run` are called in the course. A folder's name may hold anything: it goes
# through the environment, where neither make nor a shell reads quotes, dollars or spaces in it.
ifdef PROFILE
export COURSE_PROFILE := $(value PROFILE)
endif
ifdef DATA
export COURSE_DATA := $(value DATA)
endif
ifdef BACKBONE
export COURSE_BACKBONE := $(value BACKBONE)
endif

.PHONY: help run lab style check test test-browser twin lowest links downloads bench soak notebooks slides \
	site sample

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

run: $(INSTALLED)  ## run notebooks 01 to 05, then compare: PROFILE=sample|photos|full DATA=… BACKBONE=… ALL=1
	@$(BIN)/python -m tools.notebooks run $(if $(ALL),--all)

# What a control sends to a notebook may have 100 MB: a photo to upload is often larger than the
# 10 MB that are usual, and what is too large is dropped without a word.
lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks \
		--ServerApp.tornado_settings='{"websocket_max_message_size": 104857600}'

style: $(DEV_TOOLS)  ## check rules, format, spelling and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy

# Several processes, each with one thread, so that they do not wait for each other's.
check: style  ## check style and what is quick to check, in about a minute
	$(HERMETIC) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -m 'not slow' -n auto --maxprocesses 4

test: style  ## check code, modules and every notebook, offline, on the sample
	$(HERMETIC) $(BIN)/python -m pytest tests --durations=10
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT INT TERM && \
		echo '$(BIN)/python -m pytest $(NBVAL) notebooks' && \
		$(HERMETIC) COURSE_HOME="$$home" $(BIN)/python -m pytest $(NBVAL) notebooks --durations=10

test-browser: $(BROWSER_TOOLS)  ## work every notebook's controls in JupyterLab and Chromium: NAMES=03
	$(HERMETIC) $(BIN)/python -m pytest tests/browser --durations=10 $(if $(NAMES),-k '$(NAMES)')

twin: $(DEV_TOOLS)  ## the core notebooks and every control with Colab's packages: minutes; NAMES=03 COLAB=python3.12
	$(BIN)/python -m tools.colab_twin $(NAMES) $(if $(COLAB),--python $(COLAB))

# uv resolves what pip cannot: the lowest version that each line of requirements.txt allows.
lowest: | $(BIN)/pip  ## the quick tests with the lowest versions that requirements.txt allows (Python 3.11)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv venv --clear --quiet --python python3.11 _build/lowest
	@$(BIN)/uv pip install --quiet -p _build/lowest --resolution lowest-direct -r requirements.txt
	@$(BIN)/uv pip install --quiet -p _build/lowest -r requirements.txt -r requirements-dev.txt
	$(HERMETIC) _build/lowest/bin/python -m pytest tests -m 'not slow'

links: $(INSTALLED)  ## ask every link that leads out of the course whether it answers
	@$(BIN)/python -m tools.links

downloads: $(INSTALLED)  ## the real downloads: the photographs and ResNet-101's weights
	@COURSE_HOME=_build/downloads $(BIN)/python -m utils.download --profile photos

bench: $(INSTALLED)  ## measure the course beside the article's code: NAMES="custom_cnn_epoch growth"
	@$(BIN)/python -m tools.benchmarks $(NAMES)

soak: $(DEV_TOOLS)  ## kill training, download, unpacking; feed damaged files: minutes; KILLS=20
	$(HERMETIC) $(BIN)/python -m tools.soak $(or $(KILLS),20)
	$(HERMETIC) $(BIN)/python -m pytest tests -m hypothesis --hypothesis-profile=soak

notebooks: $(DEV_TOOLS)  ## run the notebooks on the sample in place, clean them for committing: NAMES=03
	@$(BIN)/python -m tools.notebooks update $(NAMES)

slides: $(DEV_TOOLS)  ## a deck a notebook, with reveal.js beside it, into _build/slides
	@$(BIN)/python -m tools.publish.slides

site: $(DEV_TOOLS)  ## the notebooks as pages to read, without running them, into _build/site
	@$(BIN)/python -m tools.publish.site

sample: $(DEV_TOOLS)  ## redraw data/dogscats-sample.tgz: same seed, same bytes
	@$(BIN)/python -m tools.sample.pets

# pip comes last when a virtual environment is made: without it, it is half made, and made again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' 2>/dev/null || { echo \
		"The course needs Python 3.11.4 or newer, and '$(PYTHON)' is not: name one that is, for example" \
		"make $(or $(firstword $(MAKECMDGOALS)),run) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements-lab.txt requirements.txt | $(BIN)/pip
	@echo "Installing the course's packages into $(VENV) (once; a few minutes) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(DEV_TOOLS): requirements-dev.txt $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(BROWSER_TOOLS): tests/browser/requirements.txt $(DEV_TOOLS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
