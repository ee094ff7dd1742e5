"""Whatever happens to the files of a folder is noticed by their checksums."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenformer.checksums import CHECKSUMS, damage, without_comparison, write_checksums
from tokenformer.errors import UserError

FILES = {"weights.bin": bytes(range(256)) * 3, "deep/inside/table": b"12", "empty": b"", "text.json": b"{}"}


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listed")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_checksums(folder)
    return folder


def test_a_folder_as_it_was_written_is_whole_wherever_it_lies(listed, capsys):
    assert damage(listed) is None
    assert capsys.readouterr().err == ""
    (listed / "notes of mine").write_text("not listed, so nobody minds")
    assert damage(listed) is None
    (listed / "notes of mine").unlink()


@given(data=st.data())
def test_any_flipped_bit_is_found_and_its_file_named(listed, data):
    name = data.draw(st.sampled_from([name for name, content in FILES.items() if content] + [CHECKSUMS]))
    content = (listed / name).read_bytes()
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    (listed / name).write_bytes(changed)
    try:
        found = damage(listed)
    except UserError as error:  # the flipped bit makes another version of the list
        found = str(error)
    finally:
        (listed / name).write_bytes(content)
    assert found is not None and str(listed / name) in found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b"1"), "was not copied whole"),
        (lambda path: path.write_bytes(b"21"), "is damaged"),
    ],
)
def test_a_file_that_is_missing_cut_or_changed_is_named(listed, change, says):
    path = listed / "deep" / "inside" / "table"
    try:
        change(path)
        found = damage(listed)
        with without_comparison():
            assert damage(listed) is None
    finally:
        path.write_bytes(b"12")
    assert says in found and str(path) in found


def test_a_list_of_a_newer_version_is_refused_as_such(listed):
    content = (listed / CHECKSUMS).read_text()
    (listed / CHECKSUMS).write_text(json.dumps(json.loads(content) | {"version": 2}))
    try:
        with pytest.raises(UserError, match=r"checksums\.json has version 2, and this tokenformer reads version 1"):
            damage(listed)
    finally:
        (listed / CHECKSUMS).write_text(content)


def test_a_folder_without_checksums_opens_with_a_note(tmp_path, capsys):
    assert damage(tmp_path) is None
    assert f"{tmp_path} has no checksums.json" in capsys.readouterr().err
