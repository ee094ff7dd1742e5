"""The records beside a checkpoint: read as they were written, and refused in words where they are damaged."""

import json

import pytest

from tokenformer.errors import UserError
from tokenformer.growth.triggers import LossHistory, LossNeed
from tokenformer.trainer.checkpoint.records import (
    CurriculumRecord,
    GrowthEvent,
    GrowthRecord,
    read_curriculum,
    read_growth,
    read_losses,
    write_losses,
    write_records,
)

EVENT = GrowthEvent(1, 5, {"name": "append_tokens", "factor": 2.0}, "step 5 >= 5", 10, 20, 3.5, None)
GROWTH = GrowthRecord(7, {"hidden_size": 8, "is_tokenformer_config": True}, [EVENT])
CURRICULUM = CurriculumRecord("abc", 12, 1.5, 300.0)
LOSSES = LossHistory.of([LossNeed("validation", 1, 3)]).with_loss("validation", 2, 1e9, 3.25, [])


@pytest.fixture
def folder(tmp_path):
    write_records(tmp_path, GROWTH, CURRICULUM)
    write_losses(tmp_path, LOSSES)
    return tmp_path


READERS = {
    "growth.json": read_growth,
    "curriculum.json": read_curriculum,
    "losses.json": lambda folder: read_losses(folder, LossHistory.of([LossNeed("validation", 1, 3)])),
}


def test_what_was_written_is_read(folder):
    found = [read(folder) for read in READERS.values()]
    assert found == [GROWTH, CURRICULUM, LOSSES]


@pytest.mark.parametrize("damage", ["missing key", "unknown key", "wrong type", "no mapping", "cut off"])
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_record_is_named(folder, name, damage):
    text = (folder / name).read_text()
    content = json.loads(text)
    key = next(iter(content))
    changed = {
        "missing key": {other: value for other, value in content.items() if other != key},
        "unknown key": content | {"colour": 3} if name != "losses.json" else {"series": [{"colour": 3}]},
        "wrong type": content | {key: None},
        "no mapping": [content],
        "cut off": None,
    }[damage]
    (folder / name).write_text(text[:-5] if changed is None else json.dumps(changed))
    with pytest.raises(UserError, match=name):
        READERS[name](folder)


def test_an_event_without_an_operator_is_named(folder):
    content = json.loads((folder / "growth.json").read_text())
    del content["events"][0]["operator"]["name"]
    (folder / "growth.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="operator of growth event 1 has no name.*damaged: restore the file"):
        read_growth(folder)
