"""A checkpoint as a Hugging Face folder, which needs nothing of this package to be loaded.

model.safetensors                     the weights, tied ones once, bit for bit
config.json, generation_config.json
tokenizer.json, tokenizer_config.json, special_tokens_map.json
configuration_, layers_, modeling_tokenformer.py     of a Tokenformer, for `trust_remote_code=True`
training.json                         the `model_config` and its growth, for `tokenformer import`
README.md                             the model card
"""

import json
import shutil
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from safetensors.torch import save_file

from tokenformer.config.sections import marked_model_type
from tokenformer.conversion.exported_tokenizer import SpecialTokens, write_tokenizer
from tokenformer.conversion.formats import FORMATS, Format
from tokenformer.conversion.model_card import model_card
from tokenformer.conversion.training_facts import TrainingFacts, corpus_folder
from tokenformer.conversion.verification import check_transformers, verify
from tokenformer.files import folder_built_beside, refuse_to_replace, write_atomically
from tokenformer.model.flops import model_size
from tokenformer.run_folder.names import CHECKPOINTS
from tokenformer.trainer.checkpoint.records import latest_checkpoint
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

WEIGHTS, CONFIG, GENERATION, RECORD = "model.safetensors", "config.json", "generation_config.json", "training.json"


def export_checkpoint(source: Path, output: Path, tokenizer: Path | None = None, is_verified: bool = True) -> list[str]:
    """Writes a checkpoint of any layout, grown or not, of either model type. The output is whole, or not there.

    Args:
        source: RUN/checkpoints/STEP, what `tokenformer import` or `tokenformer grow` wrote, or RUN for its newest.
        output: folder of the export, which must not exist.
        tokenizer: folder of the tokenizer; None is that of the run's corpus.
        is_verified: whether the export's logits are compared with those of the checkpoint in Nanotron's model.

    Returns:
        Lines that say what was done.

    Raises:
        UserError: the source is no checkpoint, the output exists, no tokenizer is known, transformers is missing or
            the logits differ.
    """
    refuse_to_replace(output)
    if is_verified:
        check_transformers()
    facts = TrainingFacts.of(StoredCheckpoint(latest_checkpoint(source / CHECKPOINTS) or source))
    tokenizer = tokenizer or facts.tokenizer()
    with folder_built_beside(output) as folder:
        line = write_export(facts, folder, output.name, tokenizer, is_verified)
    return [line, f"written to {output}"]


def write_export(facts: TrainingFacts, folder: Path, name: str, tokenizer: Path, is_verified: bool) -> str:
    """Fills an empty folder, as `export_checkpoint` says; gives the line that says what it is."""
    stored = facts.stored
    model_type = marked_model_type(stored.model_settings)
    form, config = FORMATS[model_type], stored.model_config
    special = write_tokenizer(tokenizer, folder, config.max_position_embeddings, config.vocab_size)
    _write_configs(folder, stored, form, special)
    tensors = form.exported(config, stored.weight)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    for module in form.code:
        shutil.copyfile(str(files("tokenformer.hf") / f"{module}.py"), folder / f"{module}.py")
    record = {"model_config": stored.model_settings, "growth": asdict(stored.growth) if stored.growth else None}
    _write_json(folder / RECORD, record)
    write_atomically(folder / "README.md", model_card(facts, name, model_type))
    line = f"{model_type} of {model_size(config).parameters:,} parameters, step {stored.step}"
    if facts.run is not None and facts.is_corpus_changed:
        line += f", whose corpus {corpus_folder(facts.run)} was prepared again since, so the model card is silent of it"
    if facts.words is not None:
        line += f", {facts.words:,.0f} words seen"
    return f"{line}; {verify(stored, folder, form)}" if is_verified else line


def _write_configs(folder: Path, stored: StoredCheckpoint, form: Format, special: SpecialTokens) -> None:
    config = form.config(stored.model_config) | asdict(special)
    if config.get("document_mask"):
        config["eos_token_id"] = stored.model_config.eos_token_id  # what ends a document for attention
    config["torch_dtype"] = str(stored.dtype).removeprefix("torch.")
    _write_json(folder / CONFIG, config)
    _write_json(folder / GENERATION, asdict(special))


def _write_json(path: Path, content: dict) -> None:
    write_atomically(path, json.dumps(content, indent=2) + "\n")
