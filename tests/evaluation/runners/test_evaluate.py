"""`tokenformer eval`: what it prints and writes, of any model, by any batch size, without network."""

import json
import socket

import pytest
import torch

from tests.support.cases import cases
from tests.support.random_checkpoints import tokenformer_config, write_random_checkpoint
from tokenformer.cli import main


def scored(model, task_files, output, *arguments) -> dict:
    tasks = [str(task_files / name) for name in ("pairs.yaml", "boxes.yaml")]
    words = ["eval", str(model), "--tasks", *tasks, "--data", str(task_files), "--output", str(output), *arguments]
    assert main(words) == 0
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture
def no_network(monkeypatch):
    """A socket is enough to fail."""

    def refuse(*arguments, **settings):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_hugging_face_folder(model_folder, task_files, tmp_path, capsys, no_network):
    found = scored(model_folder, task_files, tmp_path / "out" / "scores.json")
    assert found["prefix_token"] == {"id": 0, "text": "<|endoftext|>"}
    assert (found["dtype"], found["device"], found["batch_size"], found["sample"]) == (
        "float32",
        "cpu",
        "auto",
        "whole",
    )
    assert {"tokenformer", "torch", "transformers"} <= found["versions"].keys()
    assert found["shares_prefixes"]
    assert found["truncated_texts"] == 0
    pairs, boxes = found["tasks"]["pairs"], found["tasks"]["boxes"]
    assert (pairs["n"], pairs["version"], pairs["chance"], pairs["ties"]) == (60, 3, 0.5, 0.0)
    assert (boxes["n"], boxes["chance"]) == (12, pytest.approx(0.2))
    assert pairs["accuracy"] == pytest.approx(
        (pairs["parts"]["one"]["accuracy"] + pairs["parts"]["two"]["accuracy"]) / 2
    )
    assert pairs["parts"]["one"]["data"] == str(task_files / "one.jsonl.gz")
    printed = capsys.readouterr().out
    assert "prefix token '<|endoftext|>' (0)" in printed
    assert f"{100 * pairs['accuracy']:.2f}" in printed and f"{100 * pairs['stderr']:.2f}" in printed


def test_batch_sizes_give_the_same_scores(model_folder, task_files, tmp_path):
    auto, one, seven = (
        scored(model_folder, task_files, tmp_path / f"{size}.json", "--batch-size", size)["tasks"]
        for size in ("auto", "1", "7")
    )
    assert auto == one == seven


def test_the_fast_sample(model_folder, task_files, tmp_path):
    found = scored(model_folder, task_files, tmp_path / "fast.json", "--fast")
    assert (found["tasks"]["pairs"]["n"], found["tasks"]["boxes"]["n"]) == (6, 2)


def test_a_zeroed_model_scores_fifty(zeroed_folder, task_files, tmp_path):
    pairs = scored(zeroed_folder, task_files, tmp_path / "zero.json")["tasks"]["pairs"]
    assert pairs["ties"] > 0.5, "most sentences are as long as their permutations"
    assert abs(pairs["accuracy"] - 0.5) < 0.5 * (1 - pairs["ties"]) + 1e-9


@cases(
    (["--batch-size", "0"], "auto or a number"),
    (["--dtype", "int8"], "'int8' is not known"),
    (["--tokenizer", "nowhere"], "the tokenizer nowhere is no folder"),
)
def test_mistakes_are_named(model_folder, task_files, capsys, arguments, message):
    task = str(task_files / "pairs.yaml")
    assert main(["eval", str(model_folder), "--tasks", task, "--data", str(task_files), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_holds_no_model_is_named(tmp_path, task_files, capsys):
    task = str(task_files / "pairs.yaml")
    assert main(["eval", str(tmp_path), "--tasks", task, "--data", str(task_files)]) == 2
    assert "is no checkpoint" in capsys.readouterr().err


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A Tokenformer of random weights."""
    config = tokenformer_config(vocab_size=320, max_position_embeddings=64)
    return write_random_checkpoint(tmp_path_factory.mktemp("checkpoint") / "1", config)


def test_a_checkpoint_of_nanotron(checkpoint, tokenizer_folder, task_files, tmp_path):
    found = [
        scored(
            checkpoint,
            task_files,
            tmp_path / f"{size}.json",
            "--tokenizer",
            str(tokenizer_folder),
            "--batch-size",
            size,
        )
        for size in ("auto", "7")
    ]
    assert found[0]["tasks"] == found[1]["tasks"]
    assert 0 < found[0]["tasks"]["pairs"]["accuracy"] < 1 and found[0]["tasks"]["pairs"]["ties"] == 0
    assert (found[0]["max_length"], found[0]["prefix_token"]["id"]) == (64, 0)
    assert not torch.distributed.is_initialized(), "the process group does not outlive the evaluation"


def test_a_checkpoint_outside_of_a_run_needs_a_tokenizer(checkpoint, task_files, capsys):
    task = str(task_files / "pairs.yaml")
    assert main(["eval", str(checkpoint), "--tasks", task, "--data", str(task_files)]) == 2
    assert "give the tokenizer's folder" in capsys.readouterr().err


def test_a_task_that_fails_leaves_the_others_scored(model_folder, task_files, tmp_path, capsys):
    lines = [{"good": "a " * 500, "bad": "b " * 500}, {"good": "the cat", "bad": "cat the"}]
    (task_files / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    for name, file in (("long", "long.jsonl"), ("absent", "absent.jsonl")):
        task = {
            "task": name,
            "description": "made",
            "version": 1,
            "data": {"file": file},
            "pairs": {"good": "good", "bad": "bad"},
        }
        (task_files / f"{name}.yaml").write_text(json.dumps(task), encoding="utf-8")
    output = tmp_path / "scores.json"
    tasks = [str(task_files / f"{name}.yaml") for name in ("absent", "long")]
    words = ["eval", str(model_folder), "--data", str(task_files), "--output", str(output), "--tasks"]
    assert main([*words, *tasks]) == 0
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["tasks"]["long"]["n"] == 2 and found["truncated_texts"] == 2
    assert "absent.jsonl, which is not there" in found["failures"]["absent"]
    printed = capsys.readouterr().out
    assert "NOT SCORED absent: " in printed and "2 texts are longer than the model reads" in printed
    assert main([*words, tasks[0]]) == 2
