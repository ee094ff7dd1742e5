"""A live model that is spread over processes grows, bit for bit, into what one process makes of it."""

import json
from functools import cache
from pathlib import Path

import doubled_layers
import pytest
import torch
from growth_pieces import KINDS, whole_parameters
from launching import free_port, start_training
from run_files import metrics

from tokenformer.growth.operator import GrowthContext

SEED = 7  # of the tiny run
EVENTS = (2, 4)
EVENT_STAGES = (1, 2)
TOKENFORMER = (
    "model.model_config.tau=learned",
    "model.model_config.num_hidden_layers=3",
    "model.model_config.num_attention_heads=4",
    "model.model_config.num_key_value_heads=2",
    "model.model_config.block_norm=rms_norm",
    "model.model_config.block_norm_affine=true",
    "model.model_config.output_layer=linear",
)
LLAMA = (
    "model.model_config={is_llama_config: true, vocab_size: 384, max_position_embeddings: 32, hidden_size: 32, "
    "num_hidden_layers: 3, num_attention_heads: 4, num_key_value_heads: 2, intermediate_size: 96, "
    "tie_word_embeddings: true}",
)
SETTINGS = (
    "tokens.train_steps=7",
    "tokens.val_check_interval=-1",
    "checkpoints.checkpoint_interval=100",
    "growth.trigger={name: schedule, steps: [2, 4]}",
    "growth.minimum_steps_between=2",
    "growth.warmup_steps=2",
    "growth.learning_rate_factor=0.5",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=6",
    "optimizer.learning_rate_scheduler.lr_decay_steps=1",
)
# A model and one operator an event.
GROWTHS = {
    "tokens, then layers": (
        *TOKENFORMER,
        "growth.operators.tokenformer=[{name: append_tokens, factor: 3}, {name: doubled_layers}]",
    ),
    "layers twice": (*LLAMA, "growth.operators.llama=[{name: doubled_layers}, {name: doubled_layers}]"),
}
REPLICAS, ZERO = ("parallelism.dp=2", "tokens.micro_batch_size=2"), "optimizer.zero_stage=1"
TP, PP, REDUCE_SCATTER = "parallelism.tp=2", "parallelism.pp=2", "parallelism.tp_mode=REDUCE_SCATTER"
BF16 = ("model.dtype=bfloat16", "optimizer.accumulate_grad_in_fp32=true")
# By the number of processes.
LAYOUTS = {
    1: {"one process": ()},
    2: {
        "dp 2, ZeRO-1": (*REPLICAS, ZERO),
        "dp 2, ZeRO-1, bf16": (*REPLICAS, ZERO, *BF16),
        "tp 2, all-reduce": (TP,),
        "tp 2, reduce-scatter": (TP, REDUCE_SCATTER),
        "pp 2": (PP,),
    },
    4: {
        "dp 2 x tp 2, ZeRO-1": (*REPLICAS, TP, ZERO),
        "tp 2 x pp 2": (TP, PP),
        "dp 2 x pp 2": (*REPLICAS, PP),
    },
}
ALL_LAYOUTS = {layout: settings for by_layout in LAYOUTS.values() for layout, settings in by_layout.items()}
# Llama is Nanotron's, whose fused projections are sharded chunk by chunk; not in every layout, to save time.
LLAMA_LAYOUTS = ("one process", "dp 2, ZeRO-1, bf16", "tp 2, reduce-scatter", "tp 2 x pp 2")
CASES = [
    (layout, growth)
    for layout in ALL_LAYOUTS
    for growth in GROWTHS
    if LLAMA[0] not in GROWTHS[growth] or layout in LLAMA_LAYOUTS
]
each_case = pytest.mark.parametrize("case", CASES, ids=[f"{layout}: {growth}" for layout, growth in CASES])


def run_name(layout: str, growth: str) -> str:
    return f"{layout} {growth}".replace(",", "").replace(" ", "-")


@pytest.fixture(scope="module")
def runs(tiny_config, tmp_path_factory) -> Path:
    """The folder of the runs of all cases; each has its pieces in `pieces/RUN`."""
    folder = tmp_path_factory.mktemp("growth-layouts")
    launched = []
    for processes, layouts in LAYOUTS.items():
        descriptions = []
        for layout, growth in CASES:
            if layout in layouts:
                run = (f"general.run={run_name(layout, growth)}", f"general.runs_folder={folder}")
                settings = (*SETTINGS, *ALL_LAYOUTS[layout], *GROWTHS[growth], *run)
                descriptions.append((free_port(), settings))
        program = (str(Path(__file__).with_name("growth_pieces.py")), str(folder / "pieces"), json.dumps(descriptions))
        launched.append(start_training(tiny_config, ranks=processes, program=program))
    for training in launched:
        training.expect_success(seconds=300)
    return folder


def pieces(runs: Path, case: tuple[str, str], stage: int, moment: str) -> dict[str, dict]:
    paths = sorted((runs / "pieces" / run_name(*case)).glob(f"{stage}-{moment}-*.pt"))
    assert paths
    return whole_parameters(paths)


@pytest.fixture(scope="module")
def transitions(tiny_config):
    """The growth events of a case, as a list of `Transition`."""
    from tokenformer.trainer.prepared_run import PreparedRun

    @cache
    def of(layout: str, growth: str) -> list:
        run = PreparedRun.from_file(tiny_config, [*SETTINGS, *ALL_LAYOUTS[layout], *GROWTHS[growth]])
        return [run.transition(stage) for stage in EVENT_STAGES]

    return of


def grown_by_one_process(old: dict[str, dict], name: str, stage: int, transition) -> dict:
    operator, configs = transition.operator, (transition.before, transition.after)
    sources = {source: old[source] for source in operator.sources(name, *configs)}
    context = GrowthContext(SEED, stage)

    def parameter(kind: str) -> torch.Tensor:
        return operator.grown_parameter(name, {key: each[kind] for key, each in sources.items()}, *configs, context)

    has_master = all(each["master"] is not None for each in sources.values())
    grown = {"master": parameter("master") if has_master else None}
    grown["weight"] = grown["master"].to(torch.bfloat16) if has_master else parameter("weight")
    for power, kind in ((1, "exp_avg"), (2, "exp_avg_sq")):
        moments = {key: each[kind] for key, each in sources.items()}
        grown[kind] = operator.grown_moment(name, moments, power, *configs)
    return grown


@pytest.mark.parametrize("stage", EVENT_STAGES)
@each_case
def test_the_grown_model_is_what_one_process_grows(runs, transitions, case, stage):
    transition = transitions(*case)[stage - 1]
    old, new = (pieces(runs, case, stage, moment) for moment in ("before", "after"))
    wrong = []
    for name, found in new.items():
        expected = grown_by_one_process(old, name, stage, transition)
        for kind in KINDS:
            assert (expected[kind] is None) == (found[kind] is None), f"{kind} of {name}"
            if expected[kind] is not None and not torch.equal(as_bits(found[kind]), as_bits(expected[kind])):
                wrong.append(f"{kind} of {name}")
        assert found["step"] == EVENTS[stage - 1]
    assert wrong == []
    assert any(moments["exp_avg_sq"].any() for moments in new.values())


def as_bits(tensor: torch.Tensor) -> torch.Tensor:
    """So that the sign of a zero counts."""
    return tensor.contiguous().view(torch.uint8)


@each_case
def test_rates_follow_the_operators_and_decay_keeps_its_strength(runs, transitions, case):
    for stage, transition in enumerate(transitions(*case), start=1):
        before, after = (pieces(runs, case, stage, moment) for moment in ("before", "after"))
        for name, found in after.items():
            factor = transition.operator.learning_rate_factor(name, transition.before, transition.after)
            old_rate, old_decay = before[transition.sources(name)[0]]["group"]
            assert found["group"] == (old_rate * factor, old_decay / factor), name


@pytest.mark.parametrize("layout", [layout for layout in ALL_LAYOUTS if BF16[0] not in ALL_LAYOUTS[layout]])
def test_losses_go_on_as_those_of_one_process(runs, layout):
    """Not with Llama, whose random weights depend on the layout."""
    ours, theirs = (metrics(runs / run_name(which, "tokens, then layers")) for which in (layout, "one process"))
    assert [line["iteration_step"] for line in ours] == [line["iteration_step"] for line in theirs]
    for our_line, their_line in zip(ours, theirs, strict=True):
        for key in ("lm_loss", "growth/loss_before", "growth/loss_after"):
            assert our_line.get(key) == (their_line.get(key) and pytest.approx(their_line[key], rel=1e-5)), key


def stages_of(runs: Path, case: tuple[str, str], stage: int, moment: str) -> dict[str, set[int]]:
    """Pipeline stages that hold a parameter."""
    found = {}
    for path in (runs / "pieces" / run_name(*case)).glob(f"{stage}-{moment}-*.pt"):
        content = torch.load(path, weights_only=False)
        for name in content["parameters"]:
            found.setdefault(name, set()).add(content["ranks"][1])
    return found


def test_blocks_move_between_pipeline_stages_and_tied_parameters_part(runs):
    """Otherwise the tests above show less than they seem to."""
    moves = set()
    for case in CASES:
        layout, growth = case
        if "pp 2" not in layout:
            continue
        for stage in EVENT_STAGES:
            before, after = (stages_of(runs, case, stage, moment) for moment in ("before", "after"))
            moved = {name for name in before.keys() & after.keys() if before[name] != after[name]}
            moves |= {(growth, stage) for name in moved if ".decoder." in name}
            if after.get(doubled_layers.HEAD) == {1} and doubled_layers.HEAD not in before:
                assert before[doubled_layers.EMBEDDING] == {0, 1} and after[doubled_layers.EMBEDDING] == {0}
                moves.add((growth, "parted"))
    assert moves >= {("tokens, then layers", what) for what in (1, 2, "parted")}
    assert moves >= {("layers twice", what) for what in (1, "parted")}
