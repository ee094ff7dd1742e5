"""A live model that is spread over processes grows, bit for bit, into what one process makes of it."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.support import live_layouts
from tests.support.free_ports import free_port
from tests.support.places import PROGRAMS
from tests.support.programs.growth_pieces import KINDS, whole_parameters
from tests.support.training import doubled_layers
from tests.support.training.launching import start_training
from tests.support.training.run_files import metrics
from tests.support.training.tiny_run import BF16
from tokenformer.growth import OPERATORS
from tokenformer.growth.operator import GrowthContext
from tokenformer.trainer.run.prepared_run import PreparedRun

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
    "growth.tolerance=0.05",
    "growth.warmup_steps=2",
    "growth.learning_rate_factor=0.5",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=6",
    "optimizer.learning_rate_scheduler.lr_decay_steps=1",
)
# A model and one operator an event; `ROWS` says which rows of the documentation's table they are.
GROWTHS = {
    "tokens, doubled layers": (
        *TOKENFORMER,
        "growth.operators.tokenformer=[{name: append_tokens, factor: 3}, {name: doubled_layers}]",
    ),
    "Llama, clone, stack": (
        *LLAMA,
        "growth.operators.llama=[{name: hypercloning, tied_embeddings: untie}, {name: stack_layers}]",
    ),
    "stack, clone": (
        *TOKENFORMER,
        "growth.operators.tokenformer=[{name: stack_layers, zero_gated: true}, {name: hypercloning}]",
    ),
    "zero keys, clones": (
        *TOKENFORMER,
        "growth.operators.tokenformer=[{name: append_tokens, new_tokens: zero_keys}, "
        "{name: append_tokens, new_tokens: clone}]",
    ),
}
ROWS = {
    "tokens, doubled layers": ("append_tokens, zero_values, Tokenformer",),
    "Llama, clone, stack": ("hypercloning, tied_embeddings untie, Llama", "stack_layers, stack, Llama"),
    "stack, clone": ("stack_layers, stack with zero_gated, Tokenformer", "hypercloning, symmetric, Tokenformer"),
    "zero keys, clones": ("append_tokens, zero_keys, Tokenformer", "append_tokens, clone, Tokenformer"),
}
REPLICAS, ZERO = ("parallelism.dp=2", "tokens.micro_batch_size=2"), "optimizer.zero_stage=1"
TP, PP, REDUCE_SCATTER = "parallelism.tp=2", "parallelism.pp=2", "parallelism.tp_mode=REDUCE_SCATTER"
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
        "dp 2 x pp 2, ZeRO-1": (*REPLICAS, PP, ZERO),
    },
}
ALL_LAYOUTS = {layout: settings for by_layout in LAYOUTS.values() for layout, settings in by_layout.items()}
# Nanotron's own Llama shards its fused projections chunk by chunk: that is looked at in CI too.
QUICK = {growth: live_layouts.QUICK.get(rows[0], ()) for growth, rows in ROWS.items()}
CASES = [(layout, growth) for layout in ALL_LAYOUTS for growth in GROWTHS]


def is_quick(layout: str, growth: str) -> bool:
    return layout in QUICK.get(growth, ())


def of_each(cases: list) -> pytest.MarkDecorator:
    parameters = [
        pytest.param(case, id=": ".join(case), marks=() if is_quick(*case) else pytest.mark.slow) for case in cases
    ]
    return pytest.mark.parametrize("case", parameters)


def test_the_documentation_tells_what_runs_here():
    of_rows = {row: growth for growth, rows in ROWS.items() for row in rows}
    assert of_rows.keys() == live_layouts.LIVE_LAYOUTS.keys()
    for row, growth in of_rows.items():
        assert live_layouts.LIVE_LAYOUTS[row] == tuple(layout for layout, which in CASES if which == growth)
        assert live_layouts.QUICK.get(row, ()) == QUICK[growth]


def run_name(layout: str, growth: str) -> str:
    return f"{layout} {growth}".replace(",", "").replace(" ", "-")


@pytest.fixture(scope="module")
def runs(tiny_config, tmp_path_factory):
    """The folder with the run of a case, beside those of all cases that are as quick; pieces are in `pieces/RUN`."""

    @cache
    def launched(quick: bool) -> Path:
        folder = tmp_path_factory.mktemp("growth-layouts")
        trainings = []
        for processes, layouts in LAYOUTS.items():
            descriptions = []
            for layout, growth in CASES:
                if layout in layouts and is_quick(layout, growth) == quick:
                    run = (f"general.run={run_name(layout, growth)}", f"general.runs_folder={folder}")
                    settings = (*SETTINGS, *ALL_LAYOUTS[layout], *GROWTHS[growth], *run)
                    descriptions.append((free_port(), settings))
            program = (str(PROGRAMS / "growth_pieces.py"), str(folder / "pieces"), json.dumps(descriptions))
            trainings.append(start_training(tiny_config, ranks=processes, program=program))
        for training in trainings:
            training.expect_success(seconds=600)
        return folder

    return lambda case: launched(is_quick(*case))


def pieces(runs, case: tuple[str, str], stage: int, moment: str) -> dict[str, dict]:
    paths = sorted((runs(case) / "pieces" / run_name(*case)).glob(f"{stage}-{moment}-*.pt"))
    assert paths
    return whole_parameters(paths)


@pytest.fixture(scope="module")
def transitions(tiny_config):
    """The growth events of a case, as a list of `Transition`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPERATORS.data, doubled_layers.DoubledLayers.name, doubled_layers.DoubledLayers)
        yield transitions_of(tiny_config)


def transitions_of(config: Path):

    @cache
    def of(layout: str, growth: str) -> list:
        run = PreparedRun.from_file(config, [*SETTINGS, *ALL_LAYOUTS[layout], *GROWTHS[growth]])
        return [run.transition(stage) for stage in EVENT_STAGES]

    return of


def grown_by_one_process(old: dict[str, dict], name: str, stage: int, transition) -> dict:
    growth, context = transition.growth_of(name), GrowthContext(SEED, stage)
    sources = [old[source] for source in growth.sources]

    def parameter(kind: str) -> torch.Tensor:
        return transition.weight(name, [each[kind] for each in sources], context)

    has_master = all(each["master"] is not None for each in sources)
    grown = {"master": parameter("master") if has_master else None}
    grown["weight"] = grown["master"].to(torch.bfloat16) if has_master else parameter("weight")
    for power, kind in ((1, "exp_avg"), (2, "exp_avg_sq")):
        grown[kind] = growth.moment(*(each[kind] for each in sources), power=power)
    return grown


@pytest.mark.parametrize("stage", EVENT_STAGES)
@of_each(CASES)
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


@of_each(CASES)
def test_rates_follow_the_operators_and_decay_keeps_its_strength(runs, transitions, case):
    for stage, transition in enumerate(transitions(*case), start=1):
        before, after = (pieces(runs, case, stage, moment) for moment in ("before", "after"))
        for name, found in after.items():
            growth = transition.growth_of(name)
            factor, (old_rate, old_decay) = growth.learning_rate_factor, before[growth.sources[0]]["group"]
            assert found["group"] == (old_rate * factor, old_decay / factor), name


# Not in bf16, which rounds sums of any order. A quick case needs its run of one process to be quick, too.
COMPARABLE = [
    (layout, growth)
    for layout, growth in CASES
    if layout[-4:] != "bf16" and (is_quick("one process", growth) or not is_quick(layout, growth))
]


@of_each(COMPARABLE)
def test_losses_go_on_as_those_of_one_process(runs, case):
    layout, growth = case
    alone = ("one process", growth)
    ours, theirs = (metrics(runs(which) / run_name(*which)) for which in (case, alone))
    assert [line["iteration_step"] for line in ours] == [line["iteration_step"] for line in theirs]
    for our_line, their_line in zip(ours, theirs, strict=True):
        for key in ("lm_loss", "growth/loss_before", "growth/loss_after"):
            assert our_line.get(key) == (their_line.get(key) and pytest.approx(their_line[key], rel=1e-5)), key


def stages_of(runs, case: tuple[str, str], stage: int, moment: str) -> dict[str, set[int]]:
    """Pipeline stages that hold a parameter."""
    found = {}
    for path in (runs(case) / "pieces" / run_name(*case)).glob(f"{stage}-{moment}-*.pt"):
        content = torch.load(path, weights_only=False)
        for name in content["parameters"]:
            found.setdefault(name, set()).add(content["ranks"][1])
    return found


@pytest.mark.parametrize("layout", ["pp 2", "tp 2 x pp 2", "dp 2 x pp 2"])
def test_blocks_move_between_pipeline_stages_and_tied_parameters_part(runs, layout):
    """Otherwise the tests above show less than they seem to."""
    case = (layout, "tokens, doubled layers")
    for stage in EVENT_STAGES:
        before, after = (stages_of(runs, case, stage, moment) for moment in ("before", "after"))
        assert any(before[name] != after[name] for name in before.keys() & after.keys() if ".decoder." in name), stage
    assert before[doubled_layers.EMBEDDING] == {0, 1} and doubled_layers.HEAD not in before
    assert after[doubled_layers.EMBEDDING] == {0} and after[doubled_layers.HEAD] == {1}
