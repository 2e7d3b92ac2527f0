"""Two threads that sample at once, with two models or clones of one, and ComfyUI's work units of one run on two devices: each gets its own
picture, and nothing is left behind."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import comfy.model_patcher
import comfy.patcher_extension
import pytest
import torch
from text_layers.patching import models
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS

from .small import Small, assert_same, small

LAYER = 1
PATIENCE = 60  # seconds after which a thread is given up
# A U-Net, joint attention in both methods, and a layer that takes ComfyUI's attention function from its file.
CASES = (("sdxl", OWN_RUN), ("sd3", OWN_RUN), ("sd3", SAME_LATENTS), ("HunyuanDiT", OWN_RUN))


def twin(kind):
    """Another model with the same weights and prompts."""
    return small.__wrapped__(kind)


@contextmanager
def side_by_side(*benches):
    """Inside the patched layer each thread waits a moment for the other, so that both are in it at once."""
    barrier = threading.Barrier(2, timeout=0.3)

    def meet(*_):
        try:
            barrier.wait()
        except threading.BrokenBarrierError:  # one of them calls the layer more often than the other
            barrier.reset()

    with ExitStack() as stack:
        for diffusion_model in {bench.model.model.diffusion_model: None for bench in benches}:
            layer = diffusion_model.get_submodule(models.layer_names(benches[0].model)[LAYER])
            inner = next(module for module in layer.modules() if isinstance(module, torch.nn.Linear))
            stack.callback(inner.register_forward_pre_hook(meet).remove)
        yield


def at_once(*functions):
    def without_gradients(function):
        with torch.no_grad():
            return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(without_gradients, functions))


def left_behind(diffusion_model):
    """What is not as ComfyUI made it: forwards on modules, attention functions in the files of its models."""
    forwards = [name for name, module in diffusion_model.named_modules() if "forward" in module.__dict__]
    functions = [
        f"{name}.{function}"
        for name, module in list(sys.modules.items())
        if name.startswith("comfy.ldm")
        for function, value in vars(module).items()
        if function.startswith("optimized_attention") and callable(value) and not value.__module__.startswith("comfy.")
    ]
    return forwards + functions


def is_compiled():
    """Whether torch.compile compiles in this thread."""
    graphs = []
    torch._dynamo.reset()  # it compiles one function a few times only

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch.compile(lambda x: x.sin() + 1, backend=backend)(torch.ones(2))
    return bool(graphs)


@pytest.fixture(autouse=True)
def one_thread_is_as_before():
    """What a failed test leaves behind is no other test's."""
    files = {name: module for name, module in sys.modules.items() if name.startswith("comfy.ldm")}
    before = {name: {k: v for k, v in vars(module).items() if k.startswith("optimized_attention")} for name, module in files.items()}
    yield
    for name, functions in before.items():
        vars(files[name]).update(functions)
    torch.compiler.set_stance("default")


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_two_models(kind, method):
    one, other = twin(kind), twin(kind)
    edits = [bench.edit(bench.prompts[n], layers=f"{LAYER}", method=method) for bench, n in ((one, 1), (other, 3))]
    plain, alone = one.draw(), [one.draw(edits[0]), other.draw(edits[1])]
    assert not torch.equal(alone[0], alone[1])
    with side_by_side(one, other):
        found = at_once(lambda: one.draw(edits[0]), lambda: other.draw(edits[1]))
    assert [torch.equal(a, b) for a, b in zip(found, alone, strict=True)] == [True, True]
    for bench in (one, other):
        assert left_behind(bench.model.model.diffusion_model) == []
        assert torch.equal(bench.draw(), plain)
    assert is_compiled()


def together(model, barrier):
    """ComfyUI forgets the patcher of a model when a run ends, so that runs of clones must begin and end together."""
    waiting = model.clone()

    def around(executor, *args, **kwargs):
        barrier.wait()
        try:
            return executor(*args, **kwargs)
        finally:
            barrier.wait()

    waiting.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE, "together", around)
    return waiting


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), [case for case in CASES if case != ("sd3", OWN_RUN)])
def test_two_clones(kind, method):
    bench, barrier = twin(kind), threading.Barrier(2, timeout=PATIENCE)
    edits = [together(bench.edit(bench.prompts[n], layers=f"{LAYER}", method=method), barrier) for n in (1, 3)]
    plain, alone = bench.draw(), [bench.draw(bench.edit(bench.prompts[n], layers=f"{LAYER}", method=method)) for n in (1, 3)]
    with side_by_side(bench):
        found = at_once(lambda: bench.draw(edits[0]), lambda: bench.draw(edits[1]))
    assert [torch.equal(a, b) for a, b in zip(found, alone, strict=True)] == [True, True]
    assert left_behind(bench.model.model.diffusion_model) == []
    assert torch.equal(bench.draw(), plain)


@pytest.mark.parametrize(("kind", "method"), [case for case in CASES if case != ("sd3", OWN_RUN)])
def test_a_clone_beside_the_unpatched_model(kind, method):
    bench, barrier = twin(kind), threading.Barrier(2, timeout=PATIENCE)
    edit, plain = bench.edit(layers=f"{LAYER}", method=method), bench.draw()
    alone = bench.draw(edit)
    with side_by_side(bench):
        found = at_once(lambda: bench.draw(together(edit, barrier)), lambda: bench.draw(together(bench.model, barrier)))
    assert torch.equal(found[0], alone) and torch.equal(found[1], plain)


def on_two_devices(bench, other):
    """ComfyUI's MultiGPU work units: each half of CFG on a device of its own, in a thread of its own. Both are the CPU, under two names."""
    model = bench.model.clone()
    second = comfy.model_patcher.ModelPatcher(other.model.model, torch.device("cpu", 0), torch.device("cpu"))
    second.is_multigpu_base_clone = True
    model.set_additional_models("multigpu", [second])
    return Small(model, bench.noise, bench.prompts)


@pytest.mark.needs_comfyui("0.30")
@pytest.mark.skipif(torch.cuda.is_available(), reason="names the CPU twice")
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_halves_of_cfg_on_two_devices(kind, method):
    bench, other = twin(kind), twin(kind)
    wanted, plain = bench.draw(bench.edit(layers=f"{LAYER}", method=method)), bench.draw()
    two = on_two_devices(bench, other)
    with side_by_side(bench, other):
        found = two.draw(two.edit(layers=f"{LAYER}", method=method))
    assert_same(found, wanted, plain)
    for model in (bench.model, other.model):
        assert left_behind(model.model.diffusion_model) == []
    assert is_compiled()


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), CASES[:3])
def test_another_thread_compiles_while_a_patched_model_runs(kind, method):
    bench, inside, go_on = twin(kind), threading.Event(), threading.Event()
    edit = bench.edit(layers=f"{LAYER}", method=method)
    layer = bench.model.model.diffusion_model.get_submodule(models.layer_names(bench.model)[LAYER])
    inner = next(module for module in layer.modules() if isinstance(module, torch.nn.Linear))

    def wait(*_):
        inside.set()
        assert go_on.wait(PATIENCE)

    def look():
        try:
            assert inside.wait(PATIENCE)
            return is_compiled()
        finally:
            go_on.set()

    handle = inner.register_forward_pre_hook(wait)
    try:
        assert at_once(lambda: bench.draw(edit), look)[1]
    finally:
        handle.remove()
    assert is_compiled()
