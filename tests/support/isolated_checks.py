"""Checks of exports in a process where this package cannot be imported; run as a program with the transformers at hand.

    python -I isolated_checks.py FOLDER RESULTS [TRANSFORMERS]

FOLDER holds what the fixture `exports` writes; TRANSFORMERS is a folder with another version of transformers. RESULTS
gets, as JSON, for every check "ok" or its traceback. Each check is a function of the folder.
"""

import importlib.abc
import inspect
import json
import os
import sys
import traceback
from pathlib import Path

FORBIDDEN = ("tokenformer", "nanotron")
NAMES = ("tokenformer", "documents", "llama")
END = 0


class Forbidden(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"{fullname} must not be needed")


def load(auto_class, folder, name, **options):
    """A model and what loading said of it, the report of missing tensors."""
    import transformers

    model, report = getattr(transformers, auto_class).from_pretrained(
        folder / name, trust_remote_code=True, output_loading_info=True, **options
    )
    return model.eval(), report


def tokenizer_of(folder, name, **options):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder / name, **options)


def expected(folder, name):
    from safetensors.torch import load_file

    return load_file(folder / f"{name}-expected.safetensors")


def close(first, second, tolerance=1e-5):
    import torch

    torch.testing.assert_close(first, second, rtol=0, atol=tolerance)


def random_ids(*shape, seed=0):
    import torch

    return torch.randint(1, 300, shape, generator=torch.Generator().manual_seed(seed))


def padded(rows, side):
    """Rows of ids of unequal length as one batch with its mask."""
    import torch

    longest = max(row.shape[1] for row in rows)
    ids, mask = torch.full((len(rows), longest), END), torch.zeros(len(rows), longest, dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(longest - row.shape[1], longest) if side == "left" else slice(0, row.shape[1])
        ids[index, place], mask[index, place] = row[0], 1
    return ids, mask


def it_computes_what_the_trainer_does(folder):
    for name in NAMES:
        model, report = load("AutoModelForCausalLM", folder, name)
        assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
        tensors = expected(folder, name)
        output = model(tensors["ids"], output_hidden_states=True)
        close(output.logits, tensors["logits"])
        for index, state in enumerate(output.hidden_states):
            close(state, tensors[f"state-{index}"])


def the_base_model_and_the_classifier_load(folder):
    for name in NAMES:
        ids = random_ids(2, 7)
        states = load("AutoModelForCausalLM", folder, name)[0](ids, output_hidden_states=True).hidden_states
        base, report = load("AutoModel", folder, name)
        assert not report["missing_keys"] and not report["mismatched_keys"]
        close(base(ids).last_hidden_state, states[-1])
        assert base.config.hidden_size == states[-1].shape[-1]
        classifier, report = load("AutoModelForSequenceClassification", folder, name, num_labels=3)
        assert set(report["missing_keys"]) == {"score.weight"}
        assert classifier(ids).logits.shape == (2, 3)
        close(classifier.model(ids).last_hidden_state, states[-1])


def the_classifier_reads_the_last_token_of_each_text(folder):
    import torch

    torch.manual_seed(0)
    for name in NAMES:
        classifier, _ = load("AutoModelForSequenceClassification", folder, name, num_labels=3)
        rows = [random_ids(1, 5, seed=1), random_ids(1, 9, seed=2)]
        alone = torch.cat([classifier(row).logits for row in rows])
        for side in ("left", "right"):
            ids, mask = padded(rows, side)
            close(classifier(ids, attention_mask=mask).logits, alone)
        labels = torch.tensor([2, 0])
        close(
            classifier(ids, attention_mask=mask, labels=labels).loss, torch.nn.functional.cross_entropy(alone, labels)
        )


def logits_do_not_depend_on_the_batch(folder):
    import torch

    for name in NAMES:
        model, _ = load("AutoModelForCausalLM", folder, name)
        rows = [random_ids(1, length, seed=length) for length in (4, 11, 7)]
        for side in ("left", "right"):
            ids, mask = padded(rows, side)
            square = mask[:, None].repeat(1, mask.shape[1], 1).tril()
            masks = [mask, mask.bool(), square] if name != "llama" else [mask]
            for given in masks:
                logits = model(ids, attention_mask=given).logits
                assert torch.isfinite(logits).all()
                for row, own, is_text in zip(rows, logits, mask.bool(), strict=True):
                    close(own[is_text], model(row).logits[0])


def the_cache_equals_none_at_every_step(folder):
    for name in NAMES:
        model, _ = load("AutoModelForCausalLM", folder, name)
        rows = [random_ids(1, 3, seed=1), random_ids(1, 8, seed=2)]
        ids, mask = padded(rows, "left")
        options = {"attention_mask": mask, "max_new_tokens": 12, "do_sample": False, "output_scores": True}
        options |= {"return_dict_in_generate": True, "eos_token_id": 299}
        with_cache = model.generate(ids, use_cache=True, **options)
        without = model.generate(ids, use_cache=False, **options)
        assert with_cache.sequences.tolist() == without.sequences.tolist()
        for first, second in zip(with_cache.scores, without.scores, strict=True):
            close(first, second)
        for row, sequence in zip(rows, with_cache.sequences, strict=True):
            alone = model.generate(row, **{**options, "attention_mask": row * 0 + 1}).sequences[0]
            assert alone.tolist() == sequence[ids.shape[1] - row.shape[1] :][: len(alone)].tolist()
        beams = {**options, "num_beams": 3, "output_scores": False}
        first, second = (model.generate(ids, use_cache=cached, **beams).sequences for cached in (True, False))
        assert first.tolist() == second.tolist()


def the_cache_may_be_filled_in_pieces(folder):
    import torch

    for name in ("tokenformer", "llama"):
        model, _ = load("AutoModelForCausalLM", folder, name)
        ids = random_ids(2, 12)
        output = model(ids[:, :5], use_cache=True)
        key = "cache" if "cache" in output else "past_key_values"
        rest = model(ids[:, 5:], use_cache=True, **{key: output[key]})
        close(torch.cat([output.logits, rest.logits], dim=1), model(ids, use_cache=False).logits)


def past_the_positions_is_a_clear_error(folder):
    model, _ = load("AutoModelForCausalLM", folder, "tokenformer")
    limit = model.config.max_position_embeddings
    model(random_ids(1, limit))
    for attempt in (lambda: model(random_ids(1, limit + 1)), lambda: model.generate(random_ids(1, 4), max_length=99)):
        try:
            attempt()
        except ValueError as error:
            assert f"reads {limit} tokens" in str(error), error
        else:
            raise AssertionError("no error")


def it_saves_and_loads_again(folder):
    from safetensors import safe_open

    for name in NAMES:
        model, _ = load("AutoModelForCausalLM", folder, name)
        again = Path(os.environ["HF_MODULES_CACHE"]) / f"again-{name}"
        model.save_pretrained(again)
        tokenizer_of(folder, name).save_pretrained(again)
        names = set(safe_open(again / "model.safetensors", "pt").keys())
        assert names == set(safe_open(folder / name / "model.safetensors", "pt").keys())
        assert ("lm_head.weight" in names) is (not model.config.tie_word_embeddings)
        reloaded, report = load("AutoModelForCausalLM", again.parent, again.name)
        assert not report["missing_keys"]
        ids = random_ids(2, 6)
        assert (reloaded(ids).logits == model(ids).logits).all()


def the_loss_is_that_of_the_next_token(folder):
    import torch

    for name in NAMES:
        model, _ = load("AutoModelForCausalLM", folder, name)
        ids = random_ids(2, 9)
        output = model(ids, labels=ids)
        own = torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        close(output.loss, own)
        output.loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


def the_tokenizer_is_the_trained_one(folder):
    from tokenizers import Tokenizer
    from transformers import AutoProcessor

    trained = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    text = "a cat sat, å hat  on\na mat"
    for name in NAMES:
        for found in (tokenizer_of(folder, name), AutoProcessor.from_pretrained(folder / name, trust_remote_code=True)):
            encoded = found(text, return_offsets_mapping=True)
            assert encoded["input_ids"] == trained.encode(text).ids and found.decode(encoded["input_ids"]) == text
            assert encoded["offset_mapping"] == trained.encode(text).offsets
            assert set(encoded) == {"input_ids", "attention_mask", "offset_mapping"}
            assert found.is_fast and found.padding_side == "right" and found.model_max_length == 32
            assert found.bos_token_id == found.eos_token_id == found.pad_token_id == END
        assert tokenizer_of(folder, name, padding_side="left").padding_side == "left"


def finetuning_as_babylm_2025_does(folder):
    """A head on `AutoModel` reads the last state of texts padded on the left; a made task of two labels.

    Where the pipeline is told that the model is causal, its mask is square.
    """
    import torch

    torch.manual_seed(0)
    for name, is_square in (("tokenformer", False), ("tokenformer", True), ("llama", False)):
        tokenizer = tokenizer_of(folder, name, padding_side="left")
        texts = [f"a {first} sat on a {second}" for first in ("cat", "hat") for second in ("mat", "cat", "hat")] * 2
        texts = [text + " and a cat" * (index % 3) for index, text in enumerate(texts)]
        labels = torch.tensor([int(text.startswith("a hat")) for text in texts])
        batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=32)
        mask = batch["attention_mask"]
        mask = mask[:, None].repeat(1, mask.shape[1], 1).tril() if is_square else mask
        base, _ = load("AutoModel", folder, name)
        head = torch.nn.Linear(base.config.hidden_size, 2)
        optimizer = torch.optim.AdamW([*base.parameters(), *head.parameters()], lr=3e-3)
        base.train()
        for _ in range(40):
            logits = head(base(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state[:, -1])
            loss = torch.nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert (logits.argmax(-1) == labels).float().mean() > 0.9, loss


def finetuning_as_babylm_2026_does(folder):
    """`AutoModelForSequenceClassification` with the number of labels in its config, padded by the end token."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    for name in ("tokenformer", "llama"):
        tokenizer = tokenizer_of(folder, name)
        config = AutoConfig.from_pretrained(folder / name, num_labels=3, trust_remote_code=True)
        model = AutoModelForSequenceClassification.from_pretrained(folder / name, config=config, trust_remote_code=True)
        model.config.pad_token_id = tokenizer.eos_token_id
        pairs = [
            (f"a {word} sat", "on a mat" * (1 + index % 2)) for index, word in enumerate(("cat", "hat", "mat") * 4)
        ]
        batch = tokenizer(*zip(*pairs, strict=True), return_tensors="pt", padding=True, truncation=True, max_length=32)
        labels = torch.tensor([0, 1, 2] * 4)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(40):
            output = model(**batch, labels=labels)
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()
        assert (output.logits.argmax(-1) == labels).float().mean() > 0.9, output.loss


def zero_shot_scoring_does_not_depend_on_the_partner(folder):
    """Sums of log-probabilities of two sentences in one right-padded batch, over the last words."""
    import torch

    for name in NAMES:
        tokenizer, (model, _) = (
            tokenizer_of(folder, name, padding_side="right"),
            load("AutoModelForCausalLM", folder, name),
        )
        sentences = ["a cat sat on a mat", "a cat sat"]

        def score(texts, model=model, tokenizer=tokenizer):
            batch = tokenizer(texts, return_tensors="pt", padding=True, return_offsets_mapping=True)
            ends = batch.pop("offset_mapping")[..., 1]
            logits = model(input_ids=batch["input_ids"][:, :-1], attention_mask=batch["attention_mask"][:, :-1])[
                "logits"
            ]
            chosen = logits.log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None])[..., 0]
            return (chosen * (ends[:, 1:] > len("a cat"))).sum(-1)

        close(score(sentences), torch.cat([score([sentence]) for sentence in sentences]))


def reading_gives_a_surprisal_for_every_word(folder):
    """Each word's probability from the text before it, its pieces one after the other, is that of the whole text."""
    import torch

    text = "a cat sat on a mat"
    for name in NAMES:
        tokenizer, (model, _) = tokenizer_of(folder, name), load("AutoModelForCausalLM", folder, name)
        surprisals, context = [], "a"
        for word in text.split()[1:]:
            total = 0.0
            for piece in tokenizer(f" {word}", add_special_tokens=False)["input_ids"]:
                batch = tokenizer(context, return_tensors="pt")
                total -= model(**batch).logits[0, -1].log_softmax(-1)[piece].item()
                context += tokenizer.decode(piece)
            surprisals.append(total)
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        whole = model(ids[:, :-1]).logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).sum()
        assert context == text and min(surprisals) > 0
        close(torch.tensor(-sum(surprisals)), whole.detach(), 1e-4)


def revisions_are_found_by_name(folder):
    """The ladder, laid out as the Hub's cache is, is read by `revision`, tokenizer and code too."""
    import torch
    from transformers import AutoModelForCausalLM, AutoProcessor

    repository = "someone/grown"
    sizes = {}
    for revision in ("chck_1M", "chck_2M", "main"):
        options = {"revision": revision, "trust_remote_code": True}
        model = AutoModelForCausalLM.from_pretrained(repository, **options).eval()
        processor = AutoProcessor.from_pretrained(repository, padding_side="right", **options)
        with torch.no_grad():
            assert torch.isfinite(model(**processor("a cat sat", return_tensors="pt")).logits).all()
        sizes[revision] = sum(parameter.numel() for parameter in model.parameters())
    assert sizes["chck_1M"] < sizes["chck_2M"] == sizes["main"]


CHECKS = {
    name: value
    for name, value in list(globals().items())
    if inspect.isfunction(value) and list(inspect.signature(value).parameters) == ["folder"]
}
"""Every function above of the folder alone, by its name."""


def main(folder: Path, results: Path, *versions: str) -> None:
    sys.path[:0] = versions
    sys.meta_path.insert(0, Forbidden())
    import transformers

    found = {"version": transformers.__version__}
    for name, check in CHECKS.items():
        try:
            check(folder)
            found[name] = "ok"
        except Exception:
            found[name] = traceback.format_exc()
    results.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
