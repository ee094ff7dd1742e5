"""Writes the comments of configs/tokenformer.yaml and the page docs/configuration.md from the keys of the package.

    python -m scripts.configuration

The values in the YAML stay as they are; a new key is written there by hand first, with its value alone.
"""

from pathlib import Path

from tokenformer.config.explained import entry_tables, explained_yaml, joined, key_table
from tokenformer.config.loading import read_yaml
from tokenformer.config.registry import Registry
from tokenformer.config.sections import RunConfig
from tokenformer.curriculum import ORDERINGS, SELECTIONS
from tokenformer.growth import OPERATORS, TRIGGERS
from tokenformer.model.config import MODEL_TYPES

REPOSITORY = Path(__file__).parents[1]
CONFIG = REPOSITORY / "configs" / "tokenformer.yaml"
PAGE = REPOSITORY / "docs" / "configuration.md"

NAMED: dict[str, Registry] = {
    "Model types: `model.model_config`": MODEL_TYPES,
    "Orderings: `curriculum.ordering`": ORDERINGS,
    "Selections: `curriculum.selections`": SELECTIONS,
    "Triggers: `growth.trigger`": TRIGGERS,
    "Growth operators: `growth.operators`": OPERATORS,
}

CONFIG_HEAD = """\
A Tokenformer that grows while it reads harder and harder text; the demo's run, about six minutes on two cores.
Sections and names are Nanotron's, plus curriculum, growth, validation and evaluation. llama.yaml extends this file.
`python -m scripts.configuration` writes the comments: the meaning of a key stands at the key in the package."""

PAGE_HEAD = """\
# Configuration

A run is one YAML file. It must say which model, which corpus and how long; every other key has a default.

```yaml
model: {model_config: {is_tokenformer_config: true, hidden_size: 128, ...}}
data_stages: [{data: {dataset: {dataset_folder: data/bible-prepared}}}]
tokens: {sequence_length: 128, train_steps: 1400}
```

`--set section.key=value` changes one key on the command line. The index of a list is a number:
`--set data_stages.0.data.seed=7`.

## One file extends another

`extends: tokenformer.yaml` lays a file over another one. The path is relative to the file that names it. Files may form
a chain, but no circle. Sections are merged key by key. Three kinds of values are replaced whole:

- single values,
- lists,
- sections in which the new file says what the section is: by `name`, or by a mark such as `is_llama_config: true`.

So `configs/llama.yaml` gives another `model_config` and keeps everything else.

## Plug-ins

`plugins: [my_package.my_module]` names Python modules. They are imported before the sections are read, and can register
an operator, a trigger, a measure, an ordering or a selection. `examples/plugin/` is such a package.

## All keys

"Values" are the choices or the bounds; numbers must be finite. `scripts/configuration.py` writes these tables from the
package."""


def config() -> str:
    """The text of configs/tokenformer.yaml, with the values that are in it."""
    return explained_yaml(read_yaml(CONFIG), RunConfig, {r.kind: r for r in NAMED.values()}, CONFIG_HEAD)


def page() -> str:
    """The text of docs/configuration.md."""
    lines = [PAGE_HEAD, "", *key_table(RunConfig)]
    for title, registry in NAMED.items():
        lines += ["", f"## {title}", *entry_tables(registry)]
    return joined(lines)


def main() -> None:
    CONFIG.write_text(config(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
