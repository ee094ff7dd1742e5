"""Draws docs/flow.svg, the picture of the flow of data: python scripts/draw_flow.py"""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "flow.svg"
WIDTH, HEIGHT = 1060, 400
BOX_WIDTH, BOX_HEIGHT = 168, 66


@dataclass(frozen=True)
class Box:
    """One thing that a run makes, and the folder of the package that makes it."""

    title: str
    folder: str
    left: int
    top: int
    colour: str = "#e8eefc"

    @property
    def middle(self) -> tuple[int, int]:
        return self.left + BOX_WIDTH // 2, self.top + BOX_HEIGHT // 2

    def drawn(self) -> str:
        across, down = self.middle
        return (
            f'<rect x="{self.left}" y="{self.top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="10" '
            f'fill="{self.colour}" stroke="#3f51b5"/>\n'
            f'<text x="{across}" y="{down - 4}" font-weight="600" font-size="17">{self.title}</text>\n'
            f'<text x="{across}" y="{down + 18}" fill="#555" font-size="14">{self.folder}</text>\n'
        )


COLUMNS = (20, 237, 454, 671, 872)
READING, TRAINING, DECIDING = 20, 300, 160
GREEN, ORANGE = "#e6f4e6", "#fdeedc"
TEXT = Box("text files", "yours, or corpora", COLUMNS[0], READING)
DOCUMENTS = Box("documents", "data", COLUMNS[1], READING)
SCORES = Box("complexity scores", "complexity", COLUMNS[2], READING)
PLAN = Box("sample plan", "curriculum", COLUMNS[3], READING)
TRIGGER = Box("trigger: grow now", "growth/triggers", COLUMNS[4], DECIDING, ORANGE)
OPERATOR = Box("operator: how", "growth", COLUMNS[2], DECIDING, ORANGE)
TRAINER = Box("Nanotron trains", "trainer, model", COLUMNS[3], TRAINING, GREEN)
CHECKPOINT = Box("checkpoint", "trainer/checkpoint", COLUMNS[2], TRAINING)
EXPORT = Box("export", "conversion", COLUMNS[1], TRAINING)
RESULTS = Box("scores, report", "evaluation, reports", COLUMNS[0], TRAINING)
BOXES = (TEXT, DOCUMENTS, SCORES, PLAN, TRIGGER, OPERATOR, TRAINER, CHECKPOINT, EXPORT, RESULTS)


def arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A straight arrow between two points."""
    (x1, y1), (x2, y2) = start, end
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#3f51b5" stroke-width="2" marker-end="url(#tip)"/>\n'


def beside(first: Box, second: Box) -> str:
    """An arrow from one box to its neighbour in the same row."""
    to_the_right = first.left < second.left
    start = first.left + BOX_WIDTH if to_the_right else first.left
    end = second.left - 3 if to_the_right else second.left + BOX_WIDTH + 3
    return arrow((start, first.middle[1]), (end, first.middle[1]))


def picture() -> str:
    """The whole picture as the text of an SVG file."""
    rows = [(TEXT, DOCUMENTS), (DOCUMENTS, SCORES), (SCORES, PLAN)]
    rows += [(TRAINER, CHECKPOINT), (CHECKPOINT, EXPORT), (EXPORT, RESULTS)]
    arrows = [beside(first, second) for first, second in rows]
    bottom, middle, top = READING + BOX_HEIGHT, PLAN.middle[0], TRAINING - 3
    arrows += [arrow((middle, bottom), (middle, top))]
    arrows += [arrow((PLAN.left + BOX_WIDTH - 30, bottom), (TRIGGER.left + 50, DECIDING - 3))]
    arrows += [arrow((TRIGGER.left + 50, DECIDING + BOX_HEIGHT), (TRAINER.left + BOX_WIDTH - 20, top))]
    arrows += [arrow((OPERATOR.left + BOX_WIDTH - 40, DECIDING + BOX_HEIGHT), (TRAINER.left + 24, top))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'text-anchor="middle">\n'
        "<title>Text becomes documents, scores and a sample plan. Nanotron trains on the plan. A trigger and an "
        "operator make the model grow. Checkpoints are exported and scored.</title>\n"
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 10 5 0 10z" fill="#3f51b5"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="white"/>\n'
        f"{''.join(arrows)}{''.join(box.drawn() for box in BOXES)}</svg>\n"
    )


if __name__ == "__main__":
    PAGE.write_text(picture(), encoding="utf-8")
