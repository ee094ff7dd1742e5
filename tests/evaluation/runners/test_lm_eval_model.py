"""Our model of lm-eval beside lm-eval's own `hf`, with the same weights: the same answers to every kind of request."""

import gzip
import json

import numpy as np
import pytest
import yaml

from tests.support.made_sentences import sentences
from tokenformer.errors import UserError

lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is in the extra [eval]")
pytest.importorskip("accelerate", reason="lm-eval's hf model needs accelerate, in the extra [eval]")


@pytest.fixture(scope="module")
def models(model_folder):
    from lm_eval.api.registry import get_model

    import tokenformer.evaluation.runners.lm_eval_model  # noqa: F401 (registers it)

    theirs = get_model("hf")(pretrained=str(model_folder), device="cpu", dtype="float32", batch_size=4)
    ours = get_model("tokenformer").create_from_arg_string(f"pretrained={model_folder}", {"batch_size": 7})
    yield ours, theirs
    ours.close()


def requests(kind: str, arguments: list[tuple]) -> list:
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, parts, number) for number, parts in enumerate(arguments)]


def test_log_likelihoods_and_greediness(models):
    ours, theirs = models
    texts = [("", text) for text in sentences(20, seed=3)]
    texts += [(f"{first} ", second) for first, second in zip(sentences(10, seed=4), sentences(10, seed=5), strict=True)]
    start = "the old"
    following = ours.opened.decode([int(ours.opened.network.next_logits(ours.tok_encode(start)).argmax())])
    texts += [(start, following), (start, "zzz"), ("the old cat " * 40, "sees")]
    asked = requests("loglikelihood", texts)
    mine, other = (model.loglikelihood(asked, disable_tqdm=True) for model in (ours, theirs))
    np.testing.assert_allclose([value for value, _ in mine], [value for value, _ in other], rtol=1e-5, atol=1e-4)
    assert [greedy for _, greedy in mine] == [greedy for _, greedy in other]
    assert mine[30][1], "one of them is what greedy decoding gives"


def test_rolling_log_likelihoods(models):
    asked = requests("loglikelihood_rolling", [(" ".join(sentences(count, seed=8)),) for count in (1, 12, 30)])
    mine, other = (model.loglikelihood_rolling(asked, disable_tqdm=True) for model in models)
    np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_greedy_generation_until_a_stop_string(models):
    settings = [{"until": [stop], "max_gen_toks": 20, "do_sample": False} for stop in ("a", "e", "\x00")]
    asked = requests("generate_until", [(text, one) for text in sentences(3, seed=9) for one in settings])
    mine, other = (model.generate_until(asked, disable_tqdm=True) for model in models)
    assert mine == other
    assert len(set(mine)) > 3
    with pytest.raises(UserError, match="greedily"):
        models[0].generate_until(requests("generate_until", [("a", {"do_sample": True, "temperature": 1.0})]))
    with pytest.raises(UserError, match="leaves no room"):
        models[0].generate_until(requests("generate_until", [("a", {"max_gen_toks": 64})]))


def test_other_tasks_by_the_command_line(model_folder, task_files, tmp_path, monkeypatch, capsys):
    from tokenformer.cli import main

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    folder = tmp_path / "theirs"
    folder.mkdir()
    task = {
        "task": "their_pairs",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(task_files / "one.jsonl.gz")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "",
        "doc_to_target": 1,
        "doc_to_choice": "{{[bad, good]}}",
        "target_delimiter": "",
        "num_fewshot": 0,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 2.5},
    }
    (folder / "their_pairs.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    tasks = ["--tasks", str(task_files / "pairs.yaml"), "their_pairs", "--include-path", str(folder)]
    output = tmp_path / "scores.json"
    assert main(["eval", str(model_folder), *tasks, "--data", str(task_files), "--output", str(output)]) == 0
    found = json.loads(output.read_text(encoding="utf-8"))
    theirs = found["lm_eval"]["their_pairs"]
    assert (theirs["version"], theirs["n"]) == (2.5, 30)
    assert theirs["metrics"]["acc"]["value"] == pytest.approx(found["tasks"]["pairs"]["parts"]["one"]["accuracy"])
    assert "their_pairs acc" in capsys.readouterr().out
    from tokenformer.evaluation.runners.lm_eval_model import TokenformerLM

    sampled = []
    original = TokenformerLM._loglikelihood_tokens
    monkeypatch.setattr(
        TokenformerLM,
        "_loglikelihood_tokens",
        lambda self, asked, *rest, **named: sampled.extend(asked) or original(self, asked, *rest, **named),
    )
    words = ["eval", str(model_folder), "--tasks", "their_pairs", "--include-path", str(folder), "--fast"]
    for _ in range(2):
        assert main([*words, "--output", str(output)]) == 0
    assert json.loads(output.read_text(encoding="utf-8"))["lm_eval"]["their_pairs"]["n"] == 3
    first, second = sampled[: len(sampled) // 2], sampled[len(sampled) // 2 :]
    assert first == second and len({texts for texts, _, _ in first}) == 6
    with gzip.open(task_files / "one.jsonl.gz", "rt", encoding="utf-8") as lines:
        beginning = {text for line in list(lines)[:3] for text in json.loads(line).values()}
    assert not {text for (_, text), _, _ in first} <= beginning, "not the first tenth, which tasks often sort"


@pytest.mark.slow
def test_every_pair_of_blimp_is_decided_as_by_lm_eval(long_model_folder, shared_data):
    """The fast sample, 6,700 pairs of all paradigms."""
    from lm_eval.models.huggingface import HFLM

    from tokenformer.evaluation.networks import log_probabilities
    from tokenformer.evaluation.outcomes import Scoring
    from tokenformer.evaluation.runners.opened_model import opened_model
    from tokenformer.evaluation.runners.options import ModelSource
    from tokenformer.evaluation.task_data import load_task
    from tokenformer.evaluation.task_files import find_tasks

    loaded = load_task(find_tasks(["blimp"])[0], shared_data / "eval", fast=True)
    texts = [choice for items in loaded.items.values() for item in items for choice in item.choices]
    theirs = HFLM(pretrained=str(long_model_folder), device="cpu", dtype="float32", batch_size=64)
    other = np.array([value for value, _ in theirs.loglikelihood(requests("loglikelihood", [("", t) for t in texts]))])
    with opened_model(ModelSource(str(long_model_folder))) as model:
        scoring = Scoring([loaded], model.encoder, model.network.max_length)
        mine = np.array(log_probabilities(model.network, scoring.requests)[0])
    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-3)
    assert ((mine[1::2] > mine[::2]) == (other[1::2] > other[::2])).all()
