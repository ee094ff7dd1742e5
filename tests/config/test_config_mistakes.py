"""Whatever is wrong with a YAML: one message that names the file and the dotted key."""

import pytest

from tests.support.cases import cases
from tokenformer.config.loading import load_config
from tokenformer.errors import UserError

STAGE = "{name: text, data: {dataset: {dataset_folder: prepared}}}"
MINIMAL = """\
general: {run: test}
model: {model_config: {is_tokenformer_config: true}}
tokens: {sequence_length: 8, train_steps: 4, micro_batch_size: 2}
optimizer: {learning_rate_scheduler: {learning_rate: 0.001}}
data_stages: [STAGE]
""".replace("STAGE", STAGE)


@pytest.fixture
def message_of(tmp_path):
    """`message_of(text)` is the message that refuses this YAML, without the path of the file that must begin it."""

    def message(content: str | bytes) -> str:
        path = tmp_path / "run.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(UserError) as caught:
            load_config(path)
        assert str(path) in str(caught.value)
        return str(caught.value).replace(str(path), "")

    return message


def test_the_minimal_config_is_one(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL)
    config = load_config(path)
    assert (config.tokens_per_step, config.model_type, config.growth) == (16, "tokenformer", None)
    assert config.checkpoints_folder == config.run_folder / "checkpoints"


@cases(
    ("tokens: {sequence_length: 8, train_steps: 4, micro_batch_size: 2}\n", "", "the key tokens is missing"),
    ("sequence_length: 8, ", "", "the key tokens.sequence_length is missing"),
    ("dataset_folder: prepared", "", "the key data_stages.0.data.dataset.dataset_folder is missing"),
    ("train_steps: 4", "train_steps: four", "tokens.train_steps is 'four'; it must be of type int"),
    ("train_steps: 4", "train_steps: 4.5", "tokens.train_steps is 4.5; it must be of type int"),
    ("train_steps: 4", "train_steps: true", "tokens.train_steps is True; it must be "),
    ("sequence_length: 8", "sequence_length: null", "tokens.sequence_length is None; it must be of type int"),
    ("learning_rate: 0.001", "learning_rate: fast", "optimizer.learning_rate_scheduler.learning_rate is 'fast'"),
    ("learning_rate: 0.001", "learning_rate: true", "optimizer.learning_rate_scheduler.learning_rate is True"),
    ("run: test", "run: 5", "general.run is 5; it must be of type str"),
    ("prepared}", "prepared}, seed: x", "data_stages.0.data.seed is 'x'; it must be of type int"),
    ("{run: test}", "test", "general must be a section with keys, not 'test'"),
    ("{run: test}", "null", "general must be a section with keys, not None"),
    ("{run: test}", "[1]", "general must be a section with keys, not [1]"),
    (f"[{STAGE}]", STAGE, "data_stages must be a list"),
    (f"[{STAGE}]", "[]", "data_stages has 0 entries"),
    (f"[{STAGE}]", f"[{STAGE}, {STAGE}]", "data_stages has 2 entries"),
    (f"[{STAGE}]", "[3]", "data_stages.0 must be a section with keys, not 3"),
    ("sequence_length: 8", "sequence_length: 8, sequence_length: 9", ":3: the key 'sequence_length' stands twice"),
    ("general: {run: test}\n", "general: {run: test}\ngeneral: {run: test}\n", ":2: the key 'general' stands twice"),
    ("general: {run: test}", "general: {run: test", "is not valid YAML"),
    ("general: {run: test}", "general: {run: test}\n? [1]\n: 2", "is not valid YAML"),
    ("general: {run: test}", "general: {run: test}\n5: x", "the key 5 is not known"),
    ("general: {run: test}", "general: {run: !!python/object:os.system x}", "is not valid YAML"),
)
def test_a_mistake_is_named(message_of, old, new, expected):
    assert old in MINIMAL
    assert expected in message_of(MINIMAL.replace(old, new))


@pytest.mark.parametrize("content", ["", "# nothing\n", "- a\n- b\n", "text\n", "5\n"])
def test_a_file_without_a_mapping_is_refused(message_of, content):
    assert "holds no mapping of sections" in message_of(content)


def test_a_file_that_is_no_text_is_refused(message_of):
    assert "utf-8" in message_of(MINIMAL.encode() + b"# caf\xe9\n").lower()


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL, encoding="utf-8-sig")
    assert load_config(path).general.run == "test"


def test_anchors_and_merge_keys_are_yaml(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL.replace("{sequence_length: 8,", "{<<: {sequence_length: 16},"))
    assert load_config(path).tokens.sequence_length == 16


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError, match=reason) as caught:
            load_config(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "block", ["{}", "{is_tokenformer_config: false}", "{is_tokenformer_config: true, is_llama_config: true}"]
)
def test_a_model_that_does_not_say_what_it_is_is_refused(tmp_path, block):
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL.replace("{is_tokenformer_config: true}", block))
    with pytest.raises(UserError, match=r"model\.model_config must say once what it is: is_tokenformer_config: true"):
        load_config(path).model_type  # noqa: B018


@cases(
    (MINIMAL.replace("{is_tokenformer_config: true}", "tokenformer"), ["model.model_config ", "'tokenformer'"]),
    (f"{MINIMAL}growth: {{trigger: complexity, operators: {{}}}}\n", ["growth.trigger ", "'complexity'"]),
    (f"{MINIMAL}curriculum: {{ordering: paced}}\n", ["curriculum.ordering ", "'paced'"]),
)
def test_the_message_for_a_section_of_free_keys_shows_what_was_written(message_of, content, named):
    message = message_of(content)
    assert [part for part in named if part not in message] == []
