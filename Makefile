# Everything runs in .venv, which any of these targets makes from constraints.txt.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DATA := data
RUN := runs/tokenformer-demo
# A package index with torch builds for the CPU saves gigabytes of CUDA: make demo TORCH_INDEX=...
TORCH_INDEX ?=
# Processes that run the tests; one a core is best.
WORKERS ?= 2
# Keys of the demo's YAML to change: make demo SET="--set tokens.train_steps=100"
SET ?=

.PHONY: demo test lint docs bench bench-gpu clean

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[demo,report,dev]"
	touch $@

$(DATA)/bible: $(VENV)/.installed
	$(BIN)/tokenformer corpus bible $@

$(DATA)/bible-prepared: $(DATA)/bible
	$(BIN)/tokenformer prepare $</train --validation $</validation --unit line --measure surprisal --vocabulary-size 2048 --output $@

# The main job: a Tokenformer that grows as the text gets harder, then its report beside n-gram baselines.
demo: $(DATA)/bible-prepared
	$(BIN)/tokenformer doctor
	$(BIN)/tokenformer plan configs/tokenformer.yaml $(SET)
	$(BIN)/tokenformer train configs/tokenformer.yaml $(SET)
	$(BIN)/tokenformer report $(RUN)
	@echo "Look at $(RUN)/report.html"

# What the BabyLM pipelines pin, beside the newer one of the environment: tests load exports in both.
$(VENV)/transformers-4: $(VENV)/.installed
	rm -rf $@.partial
	$(BIN)/pip install --quiet --no-deps --target $@.partial \
		transformers==4.51.3 tokenizers==0.21.4 huggingface_hub==0.36.2
	rm -rf $@
	mv $@.partial $@

# Tests of one file stay in one process, which shares what they train. Each process computes with one thread.
test: $(VENV)/.installed $(VENV)/transformers-4
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses $(WORKERS) --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m codespell_lib
	$(BIN)/basedpyright --pythonpath $(BIN)/python --level error

# The site: build/site/index.html.
docs: $(VENV)/.installed
	$(BIN)/python -m mkdocs build --strict

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.pattention --device cpu

# The row kernels on this machine's GPU; results go to benchmarks/results/NAME-OF-THE-CARD.
bench-gpu: $(VENV)/.installed
	$(BIN)/python -m benchmarks.gpu_sweep

clean:
	rm -rf $(VENV) $(DATA)/bible $(DATA)/bible-prepared
