"""The layers that are measured, by the sizes of models that have them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A Pattention of `width` features in and out.

    Args:
        name: model and projection.
        rows: N, tokens of text a step.
        width: d.
        tokens: n, parameter tokens.
    """

    name: str
    rows: int
    width: int
    tokens: int

    @property
    def product_flops(self) -> int:
        """FLOPs of one matrix product: forward takes two, backward four."""
        return 2 * self.rows * self.tokens * self.width

    @property
    def score_elements(self) -> int:
        return self.rows * self.tokens

    @property
    def swiglu_width(self) -> int:
        """Hidden width of the SwiGLU MLP with the same FLOPs, which has three matrices for our two; a multiple of 8."""
        return 8 * round(2 * self.tokens / 3 / 8)

    def with_rows(self, rows: int) -> "Shape":
        return Shape(self.name, rows, self.width, self.tokens)


# The official models' layers at what one GPU has of a step.
LARGE = [
    Shape("150M qkv", 65536, 768, 768),
    Shape("150M ffn", 65536, 768, 3072),
    Shape("450M ffn", 32768, 1024, 4096),
    Shape("1.5B ffn", 16384, 1536, 6144),
    Shape("2048 ffn", 16384, 2048, 8192),
]
# What trains on 10 to 100 million words.
BABYLM = [
    Shape("BabyLM 256 ffn", 16384, 256, 1024),
    Shape("BabyLM 384 qkv", 16384, 384, 384),
    Shape("BabyLM 384 ffn", 16384, 384, 1536),
]
SHAPES = LARGE + BABYLM
