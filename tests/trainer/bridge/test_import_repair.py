"""What the import hook makes of small sources."""

import ast
import textwrap
from types import SimpleNamespace

import pytest

from tokenformer.errors import UserError
from tokenformer.trainer.bridge.import_repair import CIRCLE, CPU_DEVICE, RepairingFinder, Repairs, install, repair

NOTHING, CPU, FLASH = Repairs(False, False), Repairs(True, False), Repairs(False, True)
ACCELERATOR_IMPORT = "from tokenformer.trainer.bridge.cpu_host import accelerator as _accelerator"


def repaired(source, repairs, name="nanotron.some_module"):
    """The repaired source as text, line by line."""
    return ast.unparse(repair(textwrap.dedent(source).encode(), name, repairs)).splitlines()


def normal(source):
    return ast.unparse(ast.parse(textwrap.dedent(source))).splitlines()


def test_the_device_becomes_cpu_in_every_place_that_names_it():
    source = """
        import torch
        x = torch.zeros(3, device="cuda")
        def build(device: str = "cuda"):
            return {"cuda": torch.device("cuda")}[device]
    """
    expected = normal(source.replace('"cuda"', '"cpu"'))
    assert repaired(source, CPU) == [ACCELERATOR_IMPORT, *expected]


def test_other_text_about_cuda_stays():
    source = """
        message = "no cuda here"
        name = "cuda:0"
        cuda = 1
        x.cuda()
    """
    assert repaired(source, CPU) == [ACCELERATOR_IMPORT, *normal(source)]


def test_torch_cuda_becomes_the_accelerator():
    source = """
        torch.cuda.synchronize()
        f = torch.cuda.memory.snapshot
        other.cuda.synchronize()
    """
    assert repaired(source, CPU) == [
        ACCELERATOR_IMPORT,
        "_accelerator.synchronize()",
        "f = _accelerator.memory.snapshot",
        "other.cuda.synchronize()",
    ]


def test_repaired_code_runs_on_the_accelerator():
    source = b"import torch\navailable = torch.cuda.is_available()\ndevice = torch.zeros(1, device='cuda').device\n"
    scope = {}
    exec(compile(repair(source, "nanotron.some_module", CPU), "some_module", "exec"), scope)
    assert scope["available"] is False
    assert scope["device"].type == "cpu"


def test_docstring_and_future_imports_stay_first():
    source = '''
        """What it is for."""
        from __future__ import annotations
        import torch
    '''
    tree = repair(textwrap.dedent(source).encode(), "nanotron.some_module", CPU)
    assert ast.get_docstring(tree) == "What it is for."
    assert ast.unparse(tree).splitlines()[1:] == [
        "from __future__ import annotations",
        ACCELERATOR_IMPORT,
        "import torch",
    ]
    compile(tree, "some_module", "exec")


@pytest.mark.parametrize("source", ["", '"""Only a docstring."""', "x = 1"])
def test_short_modules_compile(source):
    compile(repair(source.encode(), "nanotron.some_module", Repairs(True, True)), "some_module", "exec")


def test_flash_attention_comes_from_the_stand_in():
    source = """
        from flash_attn import bert_padding
        def forward():
            from flash_attn.layers.rotary import RotaryEmbedding as Rotary
            from flash_attn_other import thing
    """
    assert repaired(source, FLASH) == normal("""
        from tokenformer.trainer.bridge.flash_attention_stand_in import bert_padding
        def forward():
            from tokenformer.trainer.bridge.flash_attention_stand_in import RotaryEmbedding as Rotary
            from flash_attn_other import thing
    """)


CIRCLE_SOURCE = """
    import logging
    from nanotron.config.config import LoggingArgs
    from nanotron.config import Config
    def set_level(arguments: LoggingArgs):
        pass
"""


def test_the_import_circle_of_the_logging_module_is_broken():
    assert repaired(CIRCLE_SOURCE, NOTHING, name="nanotron.logging") == normal(
        CIRCLE_SOURCE.replace("from nanotron.config.config import LoggingArgs", "LoggingArgs = 'LoggingArgs'")
    )


def test_the_same_import_stays_in_other_modules():
    assert repaired(CIRCLE_SOURCE, NOTHING, name="nanotron.trainer") == normal(CIRCLE_SOURCE)


LLAMA_CONFIG = """
    class LlamaConfig:
        hidden_size: int = 4096
        vocab_size: int = 32000{field}
        def __post_init__(self):
            pass
    class OtherConfig:
        hidden_size: int = 1
"""
LLAMA_ATTENTION = """
    class RotaryEmbedding:
        pass
    class CausalSelfAttention:
        def __init__(self, config):
            self.rotary = RotaryEmbedding(dim=4, end=config.end{theta})
            self.flash = FlashRotaryEmbedding(dim=4, interleaved=True{base})
"""


def test_llama_gets_the_base_of_its_rotary_positions():
    places = {
        "nanotron.config.models_config": (LLAMA_CONFIG, {"field": "\n        rope_theta: float = 10000.0"}),
        "nanotron.models.llama": (
            LLAMA_ATTENTION,
            {"theta": ", theta=config.rope_theta", "base": ", base=config.rope_theta"},
        ),
    }
    for name, (source, parts) in places.items():
        without, mended = source.format(**dict.fromkeys(parts, "")), source.format(**parts)
        assert repaired(without, NOTHING, name=name) == repaired(mended, NOTHING, name=name) == normal(mended)
        assert repaired(without, NOTHING, name="nanotron.other") == normal(without)


def test_each_repair_counts_the_places_that_it_mended():
    repairs = Repairs(True, False)
    for source in (CIRCLE_SOURCE, "import torch\nx = torch.cuda.device('cuda')", "import logging"):
        repair(textwrap.dedent(source).encode(), "nanotron.logging", repairs)
    assert repairs.mended == {CIRCLE: 1, CPU_DEVICE: 2}


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        ("nanotron.logging", "from nanotron.config.config import Config, LoggingArgs", "imports Config, LoggingArgs"),
        ("nanotron.config.models_config", "class Other: ...", "there is no class LlamaConfig"),
        ("nanotron.models.llama", "class Attention: ...", "there is no class CausalSelfAttention"),
        ("nanotron.models.llama", "class CausalSelfAttention: ...", "builds no rotary embedding"),
    ],
)
def test_a_needed_repair_without_its_place_is_an_error(name, source, reason):
    with pytest.raises(UserError, match=f"cannot be repaired.*{reason}.*pip install nanotron==0.4"):
        repair(source.encode(), name, NOTHING)


def test_what_is_replaced_must_be_there():
    from tokenformer.trainer.bridge.repairs import replace

    with pytest.raises(UserError, match=r"cannot be repaired \(bars\): tests.* has no tqdm"):
        replace(SimpleNamespace(__name__="tests.module"), "tqdm", None, "bars")


def test_nothing_else_is_touched_where_nothing_is_missing():
    source = """
        import torch
        from flash_attn import flash_attn_varlen_func
        x = torch.zeros(3, device="cuda")
        torch.cuda.synchronize()
    """
    for name in ("nanotron.logging", "nanotron.trainer"):
        assert repaired(source, NOTHING, name=name) == normal(source)


def test_line_numbers_stay_so_that_tracebacks_point_into_nanotrons_files():
    source = 'import torch\n\n\nx = torch.device("cuda")\n'
    tree = repair(source.encode(), "nanotron.some_module", CPU)
    assert tree.body[-1].lineno == 4


def test_only_nanotrons_modules_are_found():
    finder = RepairingFinder(CPU)
    assert finder.find_spec("torch.cuda") is None
    assert finder.find_spec("nanotronics") is None
    assert finder.find_spec("nanotron").loader.repairs == CPU


def test_a_second_finder_is_not_installed(monkeypatch):
    finders = []
    monkeypatch.setattr("tokenformer.trainer.bridge.import_repair.sys", SimpleNamespace(meta_path=finders, modules={}))
    assert install(CPU) is True
    assert install(CPU) is False
    assert len(finders) == 1


def test_what_a_failed_import_left_behind_is_imported_again(monkeypatch):
    modules = {"nanotron": 1, "nanotron.config": 2, "nanotronics": 3, "torch": 4}
    monkeypatch.setattr("tokenformer.trainer.bridge.import_repair.sys", SimpleNamespace(meta_path=[], modules=modules))
    install(CPU)
    assert modules == {"nanotronics": 3, "torch": 4}
