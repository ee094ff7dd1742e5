"""Which backend is chosen, when it is said, and what happens where Triton does not run."""

import functools
import subprocess
import sys
import warnings

import pytest
import torch

from tests.support.kernel_comparison import random_inputs
from tokenformer.kernels import BACKENDS, choose_backend, dispatch, pattention, triton_probe
from tokenformer.kernels.triton_probe import triton_obstacle

BROKEN = "its first kernel fails with RuntimeError: no compiler"


@pytest.fixture
def forgetful():
    """No choice that was made before the test, or in it, outlasts it."""
    for cached in (dispatch._chosen, triton_obstacle):
        cached.cache_clear()
    yield
    for cached in (dispatch._chosen, triton_obstacle):
        cached.cache_clear()


@pytest.fixture
def machine(forgetful, monkeypatch):
    """A function that makes the machine one with a GPU whose Triton has the given obstacle."""

    def make(obstacle: str | None) -> None:
        monkeypatch.setattr(dispatch, "triton_obstacle", lambda device_type: obstacle)
        monkeypatch.setattr(dispatch, "is_interpreted", lambda: False)

    return make


def test_auto_is_triton_on_a_gpu_and_torch_on_a_cpu(machine):
    machine(None)
    assert choose_backend("auto", "cuda") == "triton"
    assert choose_backend("auto", "cpu") == "torch"


def test_auto_without_a_triton_that_runs_is_torch_and_says_so_once(machine):
    machine(BROKEN)
    with pytest.warns(UserWarning, match=f"kernel torch is used, since triton cannot run: {BROKEN}") as said:
        assert choose_backend("auto", "cuda") == "torch"
        assert choose_backend("auto", "cuda") == "torch"
    assert len(said) == 1


def test_triton_that_is_demanded_and_does_not_run_is_an_error(machine):
    machine(BROKEN)
    for _ in range(2):
        with pytest.raises(ValueError, match="kernel 'triton' cannot run: .* no compiler. Choose auto, torch or ref"):
            choose_backend("triton", "cuda")


@pytest.mark.parametrize("name", ["torch", "reference"])
def test_a_backend_by_name_is_itself_and_needs_no_triton(name, machine):
    machine(BROKEN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_backend(name, "cuda") == name


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="choose one of auto, triton, torch, reference"):
        choose_backend("cuda")


def test_tensors_on_a_cpu_without_the_interpreter(forgetful, monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match="it needs a CUDA or ROCm GPU, and this is cpu"):
        pattention(torch.ones(1, 2), torch.ones(3, 2), torch.ones(3, 2), backend="triton")


def test_a_missing_package_names_the_extra(forgetful, monkeypatch):
    monkeypatch.setattr(triton_probe.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'tokenformer[gpu]'" in triton_obstacle("cuda")


def test_a_kernel_that_fails_or_computes_nonsense_is_an_obstacle(forgetful, monkeypatch, device):
    pytest.importorskip("triton")
    assert triton_obstacle(device) is None

    def fail(*args, **kwargs):
        raise RuntimeError("no compiler\nand much more")

    for forward, obstacle in ((fail, BROKEN), (lambda *args, out, **kwargs: out.zero_(), "computes something else")):
        triton_obstacle.cache_clear()
        monkeypatch.setattr(triton_probe.RowTheta, "forward", forward)
        assert obstacle in triton_obstacle(device)


def test_the_probe_runs_once(forgetful, monkeypatch, device):
    pytest.importorskip("triton")
    forward, runs = triton_probe.RowTheta.forward, []
    monkeypatch.setattr(
        triton_probe.RowTheta, "forward", lambda *args, **kwargs: runs.append(1) or forward(*args, **kwargs)
    )
    assert triton_obstacle(device) is triton_obstacle(device) is None
    assert len(runs) == 1


def test_float64_goes_to_torch_unless_triton_is_demanded(machine, device):
    machine(None)
    x, keys, values, _ = random_inputs((3,), 4, [6], 5, torch.float64)
    exact = pattention(x, keys, values, backend="reference")
    torch.testing.assert_close(pattention(x, keys, values), exact, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="choose torch or reference"):
        pattention(x, keys, values, backend="triton")


def test_every_backend_computes_the_same(device):
    pytest.importorskip("triton")
    x, keys, values, tau = random_inputs((3,), 4, [6, 2], 5, device=device)
    outputs = [pattention(x, keys, values, tau=tau, segments=[6, 2], backend=name) for name in BACKENDS]
    for output in outputs:
        torch.testing.assert_close(output, outputs[-1], rtol=1e-5, atol=1e-5)


def test_compiled_whole_with_the_choice_in_it(forgetful, device):
    """The probe has not run yet, and must not be traced."""
    pytest.importorskip("triton")
    torch.compiler.reset()
    x, keys, values, tau = random_inputs((7,), 4, [6], 5, device=device)
    function = functools.partial(pattention, tau=tau, backend="triton")
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, keys, values), function(x, keys, values))


def test_importing_the_kernels_is_quiet_and_imports_neither_triton_nor_the_compiler():
    script = "import sys, tokenformer.kernels; print({'triton', 'torch._dynamo', 'torch._inductor'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (result.stdout.strip(), result.stderr) == ("set()", "")
