"""docs/formal_languages.md: its commands run, and its table is of the languages that there are."""

import dataclasses
import re
import shlex

from tokenformer import cli
from tokenformer.corpora.formal import LANGUAGES

FEWER = {
    "formal": ["--documents", "300", "--pairs", "20"],
    "code": ["--source", "tree", "--validation-share", "0.3", "--pairs", "6"],
}
FUNCTION = "def f{0}(a, b):\n    if a[{0}]:\n        c = a + b\n        return (c, {0})\n    return [a, b]\n\n"
OTHER = "def g{0}(x):\n    for y in x:\n        z = y + {0}\n    return (z)\n"


def test_the_commands_of_the_page(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tree").mkdir()
    for number in range(40):
        text = (FUNCTION + OTHER).format(number)
        (tmp_path / "tree" / f"m{number}.py").write_text(text, encoding="utf-8")
    (block,) = re.findall(r"```bash\n(.*?)```", (repository / "docs" / "formal_languages.md").read_text(), re.DOTALL)
    verbs = []
    for line in block.strip().splitlines():
        program, *words = shlex.split(line)
        verbs.append(words[0])
        assert program == "tokenformer"
        assert cli.main([*words, *(FEWER[words[1]] if words[0] == "corpus" else [])]) == 0
    assert verbs == ["corpus", "prepare"] * 2
    assert (tmp_path / "data" / "code" / "pairs.jsonl").exists()


def test_the_table_names_every_language_and_its_parameters(repository):
    page = (repository / "docs" / "formal_languages.md").read_text(encoding="utf-8").partition("`machine` chooses")[0]
    rows = {
        cells[0].strip("`"): cells[3]
        for cells in re.findall(r"^\| (`\w+`) \|(.*?)\|(.*?)\|(.*?)\|", page, re.MULTILINE)
    }
    assert [*rows] == [*LANGUAGES]
    for name, parameters in rows.items():
        fields = [(field.name, str(field.default)) for field in dataclasses.fields(LANGUAGES[name])]
        assert re.findall(r"`(\w+)` (\d+)", parameters) == fields
