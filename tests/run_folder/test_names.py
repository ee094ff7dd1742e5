"""Files and keys of a run: the page in docs/ says what the code says."""

import re

import pytest

from tests.support.places import REPOSITORY
from tokenformer.run_folder.keys import KEYS
from tokenformer.run_folder.names import CHECKPOINT_FILES, FILES

PAGE = (REPOSITORY / "docs" / "run_folder.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "expected"),
    [("Files of a run", FILES), ("Files of a checkpoint", CHECKPOINT_FILES), ("Keys of `metrics.jsonl`", KEYS)],
)
def test_the_page_says_what_the_code_says(heading, expected):
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", section, re.MULTILINE))
    assert rows == expected
