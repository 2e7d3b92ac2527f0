"""Nodes that keep something inside or between calls of the model: a call more than they know of spoils it.

Each must give the right picture or be refused in words: with the source's own text in all layers the picture is what it is without ours,
and with another text it is that of a second implementation, bit for bit or within its tolerance.
"""

import types
from functools import partial

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching.comfy import foreign_state
from text_layers.patching.patch import OWN_RUN
from text_layers.testing.tiny_models import MODELS
from text_layers.testing.tiny_models.model import fill

pytestmark = pytest.mark.any_comfyui  # two of the nodes are not in older ones

STEPS = 4


def bench_of(kind):
    tiny = next(tiny for tiny in MODELS if tiny.kind == kind)
    if not tiny.exists:
        pytest.skip("this ComfyUI does not have it")
    return benchmark.bench_of(tiny)


class References(benchmark.Bench):
    """With a reference in each prompt. Where its keys are kept, there are fewer queries than keys."""

    def text(self, call):
        layer = benchmark.layer_of(self, call)
        return None if layer is None else slice(0, call.k.shape[2] - self.tiny.picture - self.tiny.reference)


def kept_references(bench):
    """Core's node: of each block the references' keys and values are kept in a run's first call, and later calls do without them."""
    nodes_flux = pytest.importorskip("comfy_extras.nodes_flux")
    if not hasattr(nodes_flux, "FluxKVCache"):
        pytest.skip("this ComfyUI does not have it")
    return nodes_flux.FluxKVCache.execute(bench.model).args[0]


class Encoder:
    """In the place of a VAE: each pixel of the latents says what the picture has there."""

    def spacial_compression_encode(self):
        return 8

    def encode(self, picture):
        small = torch.nn.functional.avg_pool2d(picture.movedim(-1, 1), 8)
        return small.repeat(1, 6, 1, 1)[:, :16]


def control_of_z_image(bench):
    """Core's node with a tiny random network: a second stream that goes on from block to block of one call."""
    controlnet = pytest.importorskip("comfy.ldm.lumina.controlnet")
    nodes_model_patch = pytest.importorskip("comfy_extras.nodes_model_patch")
    if not hasattr(nodes_model_patch, "ZImageFunControlnet"):
        pytest.skip("this ComfyUI does not have it")
    # It sits at every second of the model's 30 blocks; this one has three, so that it needs two of its own.
    network = controlnet.ZImage_Control(dim=256, n_heads=8, n_kv_heads=8, n_control_layers=2, operations=comfy.ops.disable_weight_init)
    network.n_control_layers = 15
    fill(network)
    device = comfy.model_management.get_torch_device()
    patch = comfy.model_patcher.ModelPatcher(network, load_device=device, offload_device=torch.device("cpu"))
    height, width = bench.tiny.latent[-2:]
    picture = torch.rand(1, 8 * height, 8 * width, 3, generator=torch.Generator().manual_seed(1))
    return nodes_model_patch.ZImageFunControlnet().diffsynth_controlnet(bench.model, patch, Encoder(), picture, 0.8)[0]


def in_place_of_the_blocks(bench, decide):
    """The pack's way with Flux: while the model is called, a function of its own goes through the blocks, or does not.

    decide(picture's tokens, noise level, call): call() is what the blocks give."""
    patched = bench.model.clone()
    diffusion_model = bench.diffusion_model
    blocks = type(diffusion_model).forward_orig

    def around(apply, args):
        level = float(args["timestep"][0])
        diffusion_model.forward_orig = lambda img, *rest, **more: decide(img, level, lambda: blocks(diffusion_model, img, *rest, **more))
        try:
            return apply(args["input"], args["timestep"], **args["c"])
        finally:
            del diffusion_model.forward_orig

    patched.set_model_unet_function_wrapper(around)
    return patched


def by_change_summed(bench):
    """TeaCache's way: how much the input changes from call to call is summed up, and below a limit the last output is taken again. A run's
    first noise level begins anew."""
    kept = {}

    def decide(img, level, call):
        if not kept or level >= kept["first"]:
            kept.clear()
            kept.update(first=level, sum=0.0, img=img, out=call())
            return kept["out"]
        kept["sum"] += float((img - kept["img"]).abs().mean() / kept["img"].abs().mean())
        kept["img"] = img
        if kept["sum"] >= 2:
            kept.update(sum=0.0, out=call())
        return kept["out"]

    return in_place_of_the_blocks(bench, decide)


def by_turns(bench):
    """First Block Cache's way to begin anew: a call whose noise level is not below the last one's is a run's first. Of the others every
    second one is left out."""
    kept = {}

    def decide(img, level, call):
        if not kept or level >= kept["level"]:
            kept.clear()
            kept["skip"] = True
        skip, kept["skip"], kept["level"] = kept["skip"] and "out" in kept, not kept["skip"], level
        if not skip:
            kept["out"] = call()
        return kept["out"]

    return in_place_of_the_blocks(bench, decide)


CASES = {
    "kept references": ("Flux2", kept_references),
    "control of Z-Image": ("ZImage", control_of_z_image),
    "by change summed": ("Flux", by_change_summed),
    "by turns": ("Flux", by_turns),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    """(bench of a model with such a node, what it draws)."""
    kind, make = CASES[request.param]
    bench = bench_of(kind)
    entries = 1 if make is kept_references else 0
    kind = References if entries else benchmark.Bench
    # Core's Flux with guidance takes a reference at another noise level for a single row alone.
    options = {"lengths": bench.lengths, "entries": entries, "cfg": 1.0 if entries else 4.0}
    bench = kind(bench.tiny, bench.model, **options)
    without = bench.draw(bench.prompt(0), steps=STEPS)
    bench = kind(bench.tiny, make(bench), **options)
    alone = bench.draw(bench.prompt(0), steps=STEPS)
    assert not torch.equal(alone, without), "the node does something"
    assert torch.equal(bench.draw(bench.prompt(0), steps=STEPS), alone), "the node begins anew in each run"
    return bench, alone


def drawn_or_refused(bench, model):
    """None where it was refused."""
    try:
        return bench.draw(bench.prompt(0), model, steps=STEPS)
    except (RuntimeError, ValueError) as error:
        assert any(advice in str(error) for advice in ("own run", "Remove", "remove")), error
        return None


@pytest.mark.parametrize("layers", [slice(None), slice(1)], ids=["all", "first"])
@pytest.mark.parametrize("method", benchmark.METHODS)
def test_the_sources_own_text_changes_nothing(case, method, layers):
    bench, alone = case
    names = bench.names[layers]
    chosen = benchmark.models.written(bench.model, ", ".join(names))
    same = benchmark.patch_prompt(bench.model, chosen, bench.encoded(0), bench.encoded(2), method=method)
    drawn = drawn_or_refused(bench, same)
    assert drawn is None or (drawn - alone).abs().max() == 0
    assert torch.equal(bench.draw(bench.prompt(0), steps=STEPS), alone), "the node is what it was"


@pytest.mark.parametrize("method", benchmark.METHODS)
def test_another_text_is_drawn_rightly(case, method):
    bench, alone = case
    layers = bench.names[1:2]
    drawn = drawn_or_refused(bench, bench.edit(layers, method=method))
    if drawn is None:
        return
    size = (drawn - alone).abs().max()
    assert size > 1e-4 * alone.abs().max(), "patching changes nothing"
    if method == OWN_RUN:
        wanted = benchmark.second(bench, layers, steps=STEPS)
        assert (drawn - wanted).abs().max() <= benchmark.TOLERANCE * size


class Remembers:
    def __init__(self, module, kept):
        self.forward, self.kept = type(module).forward, kept

    def __call__(self, *args, **kwargs):
        return self.kept.setdefault("out", self.forward(*args, **kwargs))


def as_method(module, kept):
    forward = type(module).forward
    return types.MethodType(lambda self, *args, **kwargs: kept.setdefault("out", forward(self, *args, **kwargs)), module)


@pytest.mark.parametrize("way", [as_method, lambda module, kept: partial(Remembers(module, kept), module), Remembers])
def test_what_stands_in_a_methods_place_is_seen_whatever_it_is(way):
    module = torch.nn.Module()
    module.block = torch.nn.Linear(2, 2)
    assert foreign_state({}, list(module.named_modules())) is None
    module.block.forward = types.MethodType(type(module.block).forward, module.block)
    assert foreign_state({}, list(module.named_modules())) is None, "it holds nothing"
    module.block.forward = way(module.block, {})
    assert foreign_state({}, list(module.named_modules())) == "the forward of block"
    assert foreign_state({}, [("", torch.nn.Module())], {"diffusion_model.block.forward": way(module.block, {})})
