"""A tiny corpus, and a grid of two arms and two seeds over the tiny run."""

from pathlib import Path

import pytest
import yaml

from tests.support.training.tiny_run import prepare, tiny_content


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    return prepare(tmp_path_factory.mktemp("corpus"), seed=0)


def grid_content() -> dict:
    """Grown by complexity against a model that is larger from the start and costs the same."""
    large = {f"model.model_config.{key}": 64 for key in ("qkv_tokens", "output_tokens")}
    return {
        "question": "does growing pay?",
        "decision": "it pays when H1 is rejected",
        "base": "base.yaml",
        "seeds": [1, 2],
        "tail": 0.25,
        "schedule": {"warmup_steps": 3, "decay": 0.25, "checks": 4},
        "settings": {"curriculum.ordering": {"name": "easy_to_hard"}, "tokens.train_steps": 24},
        "arms": {
            "grown": {"settings": {"growth.trigger": {"name": "complexity", "percentiles": [30, 60]}}},
            "large": {
                "settings": {**large, "model.model_config.feed_forward_tokens": 128, "growth": None},
                "match": {"flops": "grown"},
            },
        },
        "contrasts": [{"name": "H1", "first": "grown", "second": "large", "confirmatory": True}],
    }


@pytest.fixture
def tiny_grid(tmp_path, tiny_corpus):
    """`tiny_grid(**changes)` writes the grid, its content changed, and returns its path."""

    def write(**changes) -> Path:
        base = tiny_content(tiny_corpus, tmp_path / "elsewhere")
        base["tokens"]["train_steps"] = None
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(base), encoding="utf-8")
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(grid_content() | changes, sort_keys=False), encoding="utf-8")
        return path

    return write
