# `make` lists what there is. `make check` is the fast one; `make test` and `make demo` build hosts too.
#
# The hosts exist under two sets of distribution names that share their import names, so there are
# two environments and the tests pass in both:
#   .venv          maintained: torch 2.11, onedl-mm*, ultralytics     requirements/maintained.txt
#   .venv-classic  classic:    torch 2.1, mmcv 2.1, mmdet 3.3         requirements/classic.txt

PYTHON         ?= python3.11
CLASSIC_PYTHON ?= python3.11
MAX_JOBS       ?= 2
ARGS           ?=
export MAX_JOBS

EXTRAS         := mm,mmpretrain,ultralytics,crowd,monitor,evaluation,research,dev,docs
CLASSIC_EXTRAS := mm-classic,mmpretrain-classic,crowd,monitor,evaluation,research,test

BIN    := .venv/bin
MINI_YOLO := configs/ultralytics/mini_detection.yaml
PYTEST := -m pytest -n 2 --dist worksteal --durations=15
CHECK_BIN := .venv-check/bin
LINT_BIN := $(if $(wildcard .venv/.ready),$(BIN),$(CHECK_BIN))

.DEFAULT_GOAL := help
.PHONY: help check env env-classic demo demo-digits demo-ultralytics test test-classic test-trainers test-gpu
.PHONY: lint fmt docs release clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

check: .venv-check/.ready ## lint, and test core, layers and monitor with torch only: a minute, without hosts
	@$(MAKE) --no-print-directory lint LINT_BIN=$(CHECK_BIN)
	OMP_NUM_THREADS=1 $(CHECK_BIN)/python $(PYTEST) -m 'not slow' tests/core tests/layers tests/monitor $(ARGS)

demo: env ## train YOLOv3 on drawn images with weight decay and with WRS, and compare: about 7 minutes on two cores
	$(BIN)/python examples/demo.py $(ARGS)

demo-digits: env ## compare strengths of weight decay and of WRS on scikit-learn's digits, in about a minute
	$(BIN)/python -m research.compare digits_strengths $(ARGS)

demo-ultralytics: env ## train ultralytics' yolov3-tiny on drawn shapes, with weight decay and with WRS
	$(BIN)/python tools/data/make_mini_data.py yolo
	YOLO_OFFLINE=true $(BIN)/python tools/yolo/train_ultralytics.py cfg=$(MINI_YOLO) name=wd wd $(ARGS)
	YOLO_OFFLINE=true $(BIN)/python tools/yolo/train_ultralytics.py cfg=$(MINI_YOLO) name=wrs wrs $(ARGS)

test: env ## run every test on the maintained stack (ARGS='-k word' narrows it)
	OMP_NUM_THREADS=1 NORMREG_REQUIRE_HOSTS=mm,mmpretrain,ultralytics $(BIN)/python $(PYTEST) $(ARGS)

test-classic: env-classic ## run every test on the classic stack
	OMP_NUM_THREADS=1 NORMREG_REQUIRE_HOSTS=mm,mmpretrain .venv-classic/bin/python $(PYTEST) $(ARGS)

test-trainers: .trainers/.ready ## run the tests of docs/other_trainers.md: Lightning, Hugging Face, Accelerate, timm; and TensorBoard
	PYTHONPATH=.trainers OMP_NUM_THREADS=1 NORMREG_REQUIRE_HOSTS=trainers $(BIN)/python -m pytest -q tests/test_other_trainers.py tests/test_snippets.py::test_a_monitor_writes_to_tensorboard

# An interpreter on the command line or in the environment is used as it is; it needs torch and pytest, hosts if it has them.
GPU_PYTHON := $(if $(filter file,$(origin PYTHON)),$(BIN)/python,$(PYTHON))

test-gpu: $(if $(filter file,$(origin PYTHON)),env) ## run what needs a GPU (PYTHON=... takes another environment)
	$(GPU_PYTHON) -m pytest -m gpu tests/gpu --durations=15 $(ARGS)

lint: $(LINT_BIN:/bin=/.ready) ## check style, types, and which room imports which
	$(LINT_BIN)/ruff check .
	$(LINT_BIN)/ruff format --check .
	$(LINT_BIN)/mypy
	$(LINT_BIN)/lint-imports

fmt: $(LINT_BIN:/bin=/.ready) ## format the code and fix what ruff can fix
	$(LINT_BIN)/ruff check --fix-only .
	$(LINT_BIN)/ruff format .

docs: env ## build the documentation site into site/, offline; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

release: env ## build the source package and the wheel into dist/, and check the wheel
	rm -rf dist build
	$(BIN)/python -m build --no-isolation
	NORMREG_DIST=$(CURDIR)/dist $(BIN)/python -m pytest -q tests/test_package.py

env: .venv/.ready ## build .venv, the maintained stack

env-classic: .venv-classic/.ready ## build .venv-classic, the classic stack

clean: ## remove build outputs and caches (the environments stay)
	rm -rf build dist site *.egg-info .*_cache .hypothesis work_dirs runs
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

BUILD := requirements/build_env.sh

.venv-check/.ready: requirements/maintained.txt pyproject.toml
	@echo "Building .venv-check: torch and the linters, no host. Two minutes."
	$(PYTHON) -m venv .venv-check
	$(CHECK_BIN)/python -m pip install -q -c $< -e '.[check]'
	@touch $@

.venv/.ready: requirements/maintained.txt pyproject.toml
	@$(BUILD) .venv $(PYTHON) $< onedl-mmcv $(EXTRAS)
	@touch $@

.venv-classic/.ready: requirements/classic.txt pyproject.toml
	@$(BUILD) .venv-classic $(CLASSIC_PYTHON) $< mmcv $(CLASSIC_EXTRAS)
	@touch $@

# A folder beside .venv and not in it, because mmpretrain and Hugging Face's transformers do not go together.
.trainers/.ready: requirements/trainers.txt .venv/.ready
	rm -rf .trainers
	$(BIN)/python -m pip install --no-deps --target .trainers -r $<
	@touch $@
