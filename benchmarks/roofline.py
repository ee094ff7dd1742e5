"""Times that a GPU should take for a Pattention, from FLOPs and bytes alone, to lay measurements beside.

    python -m benchmarks.roofline [--card H100 | --flops 9.9e14 --bandwidth 4e12]

Forward and backward are six matrix products, which run at the card's rate of FLOPs: the floor. What is outside of them
reads and writes the score, rows times tokens, at the rate of memory. Nothing overlaps and nothing is launched for free;
the rates are what good libraries reach, not what data sheets say.
"""

import argparse
from dataclasses import dataclass

from benchmarks.measuring.shapes import SHAPES, Shape


@dataclass(frozen=True)
class Card:
    """Rates of 16-bit matrix products, FLOP/s, and of memory, bytes/s."""

    name: str
    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Implementation:
    """Bytes of 16-bit numbers an element of the score.

    Args:
        forward, backward: read and written outside of matrix products.
        saved: kept between the two.
    """

    forward: float
    backward: float
    saved: float


CARDS = {"H100": Card("H100", 790e12, 3.0e12), "A100": Card("A100", 265e12, 1.75e12)}
IMPLEMENTATIONS = {
    "official eager": Implementation(18, 48, 6),  # scale, norm, division, scale and GELU, each by itself
    "row kernels": Implementation(4, 8, 2),  # read S, write A; read S and dA, write A and dS
    "SwiGLU, fused": Implementation(4, 8, 8 / 3),  # an MLP of equal FLOPs
}


def floor_microseconds(card: Card, shape: Shape) -> float:
    """The six products alone."""
    return 6 * shape.product_flops / card.flops * 1e6


def predicted_microseconds(card: Card, shape: Shape, implementation: Implementation) -> float:
    """Forward and backward."""
    products = 6 * shape.product_flops / card.flops
    memory = (implementation.forward + implementation.backward) * shape.score_elements / card.bandwidth
    return (products + memory) * 1e6


def predicted_ratio(card: Card, shape: Shape, implementation: Implementation) -> float:
    """To the floor. It depends on the width alone: 1 + bytes / 12 * (FLOPs / bandwidth) / d."""
    return predicted_microseconds(card, shape, implementation) / floor_microseconds(card, shape)


def saved_mebibytes(shape: Shape, implementation: Implementation) -> float:
    return implementation.saved * shape.score_elements / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", choices=CARDS, default="H100")
    parser.add_argument("--flops", type=float, help="FLOP/s of another card")
    parser.add_argument("--bandwidth", type=float, help="bytes/s of another card")
    arguments = parser.parse_args()
    if (arguments.flops is None) != (arguments.bandwidth is None):
        parser.error("--flops and --bandwidth go together")
    card = CARDS[arguments.card]
    if arguments.flops is not None:
        card = Card("given", arguments.flops, arguments.bandwidth)
    print(f"card {card.name}: {card.flops / 1e12:.0f} TFLOP/s, {card.bandwidth / 1e12:.2f} TB/s; forward and backward")
    print(f"{'shape':<16}{'rows':>7}{'d':>6}{'n':>6}{'floor us':>10}" + "".join(f"{n:>24}" for n in IMPLEMENTATIONS))
    for shape in SHAPES:
        cells = []
        for implementation in IMPLEMENTATIONS.values():
            microseconds = predicted_microseconds(card, shape, implementation)
            ratio, saved = predicted_ratio(card, shape, implementation), saved_mebibytes(shape, implementation)
            cells.append(f"{microseconds:.0f} ({ratio:.2f}x) {saved:.0f} MiB")
        print(
            f"{shape.name:<16}{shape.rows:>7}{shape.width:>6}{shape.tokens:>6}{floor_microseconds(card, shape):>10.0f}"
            + "".join(f"{cell:>24}" for cell in cells)
        )


if __name__ == "__main__":
    main()
