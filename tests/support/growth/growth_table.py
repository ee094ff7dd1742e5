"""The table of operators, exactness and layouts that docs/growth-measurements.md shows between two markers.

`python -m tests.support.growth.growth_table` writes it anew. Every row is measured: a small model of random
weights in float64, all of it in plain torch, grows, and the logits of the two are compared.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.support.growth.plain_models import LlamaConfig, grown, logits, random_parameters, tokenformer_config
from tests.support.live_layouts import LAYOUTS, LIVE_LAYOUTS, QUICK
from tests.support.places import REPOSITORY
from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.hypercloning import HyperCloning
from tokenformer.growth.operator import GrowthOperator
from tokenformer.growth.stack_layers import StackLayers
from tokenformer.model.config import LayerTokens, TokenSegment

DOCS = REPOSITORY / "docs"
START, END = "<!-- growth table: tests/support/growth/growth_table.py -->", "<!-- end of growth table -->"
ROUNDING = 1e-12  # relative; what is above it is no rounding of float64

SEGMENTS = {
    "qkv_tokens": [TokenSegment(3, 1.5), TokenSegment(4, 2.0)],
    "layer_tokens": [LayerTokens(1, feed_forward_tokens=[TokenSegment(6, 2.5), TokenSegment(4, 2.0)])],
}
MODELS = {
    "Tokenformer": tokenformer_config(tau="learned", block_norm_affine=True, **SEGMENTS),
    "Tokenformer, tau current": tokenformer_config(tau="current"),
    "Tokenformer, softmax": tokenformer_config(theta="softmax"),
    "Llama": LlamaConfig(),
}
TOKENFORMER, EVERY_TOKENFORMER, BOTH = ("Tokenformer",), tuple(MODELS)[:3], ("Tokenformer", "Llama")


@dataclass(frozen=True)
class Row:
    """One operator with its settings, on one model."""

    operator: GrowthOperator
    settings: str
    model: str

    @property
    def key(self) -> str:
        return f"{self.operator.name}, {self.settings}, {self.model}"

    @property
    def config(self) -> Any:
        return MODELS[self.model]

    def change(self) -> float:
        """Of the logits, relative to those of the old model, in float64."""
        ids = torch.randint(self.config.vocab_size, (4, 12), generator=torch.Generator().manual_seed(1))
        parameters = random_parameters(self.config)
        before, after = (
            logits(parameters, self.config, ids),
            logits(*grown(self.operator, self.config, parameters), ids),
        )
        return ((after - before).norm() / before.norm()).item()


GROWTHS: list[tuple[GrowthOperator, str, tuple[str, ...]]] = [
    (AppendTokens(), "zero_values", EVERY_TOKENFORMER),
    (AppendTokens(norm="shared"), "zero_values with norm shared", EVERY_TOKENFORMER),
    (AppendTokens(new_tokens="zero_keys"), "zero_keys", EVERY_TOKENFORMER),
    (AppendTokens(new_tokens="clone"), "clone", EVERY_TOKENFORMER),
    (HyperCloning(), "symmetric", BOTH),
    (HyperCloning(kind="diagonal"), "diagonal", BOTH),
    (HyperCloning(tied_embeddings="untie"), "tied_embeddings untie", BOTH),
    (StackLayers(), "stack", BOTH),
    (StackLayers(order="interleave"), "interleave", BOTH),
    (StackLayers(order="last", layers=1), "last", BOTH),
    (StackLayers(zero_gated=True), "stack with zero_gated", BOTH),
    (StackLayers(order="interleave", zero_gated=True), "interleave with zero_gated", BOTH),
    (StackLayers(order="last", layers=1, zero_gated=True), "last with zero_gated", BOTH),
]
ROWS = [Row(operator, settings, model) for operator, settings, models in GROWTHS for model in models]


def exactness(change: float) -> str:
    return "yes" if change < ROUNDING else f"no, the logits change by {change:.1%}"


def in_words(layouts: tuple[str, ...]) -> str:
    """LAYOUTS stand under the table and are called "all"."""
    missing = [layout for layout in LAYOUTS if layout not in layouts]
    if len(missing) <= 1:
        return f"all but {missing[0]}" if missing else "all"
    return "; ".join(layouts) or "-"


def table() -> str:
    """Markdown."""
    lines = [
        "| operator | settings | model | exact in float64 | live in | of them in CI |",
        "|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        live = (in_words(layouts.get(row.key, ())) for layouts in (LIVE_LAYOUTS, QUICK))
        cells = (row.operator.name, row.settings, row.model, exactness(row.change()), *live)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"All layouts: {'; '.join(LAYOUTS)}."])


def page() -> Path:
    """The one page of docs that has the markers."""
    (found,) = (path for path in DOCS.glob("*.md") if START in path.read_text(encoding="utf-8"))
    return found


def with_table(text: str) -> str:
    """A page's text with the table of today between its markers."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    page().write_text(with_table(page().read_text(encoding="utf-8")), encoding="utf-8")
