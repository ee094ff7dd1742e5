"""Where things lie in the checkout."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = REPOSITORY / "tests" / "support" / "programs"
"""Programs that tests start as processes of their own."""
