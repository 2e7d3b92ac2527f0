"""Weights that change while a run goes on: what was made with the old ones must not be put where the new ones are.

The source's own text in all layers must give the picture that the model draws without ours.
"""

import comfy.hooks
import comfy.samplers
import comfy.sd
import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

STEPS = 4
# Keys and values of the text alone, by capture and by injection, and one whose text changes with the picture.
KINDS = ("CosmosT2IPredict2", "HunyuanDiT", "Anima", "KOALA_700M", "Flux")


@pytest.fixture(scope="module", params=KINDS)
def bench(request):
    tiny = next(tiny for tiny in MODELS if tiny.kind == request.param)
    if not tiny.exists:
        pytest.skip("this ComfyUI does not have it")
    return benchmark.bench_of(tiny)


def lora_of_text(bench):
    """Of the projections that make keys and values of the text in the text layers."""
    weights, rng = {}, torch.Generator().manual_seed(0)
    for name in bench.names:
        for part, module in bench.diffusion_model.get_submodule(name).named_modules():
            if isinstance(module, torch.nn.Linear) and part.split(".")[-1] in (
                "k_proj",
                "v_proj",
                "kv_proj",
                "kv_linear",
                "to_k",
                "to_v",
                "qkv",
            ):
                path = f"diffusion_model.{name}.{part}"
                weights[path + ".lora_down.weight"] = 0.5 * torch.randn(4, module.in_features, generator=rng)
                weights[path + ".lora_up.weight"] = 0.5 * torch.randn(module.out_features, 4, generator=rng)
    assert weights
    return weights


def with_keyframes(bench, conditioning):
    """A LoRA that comes with the conditioning, and whose strength changes in the middle of the run."""
    hooks = comfy.hooks.create_hook_lora(lora_of_text(bench), 1.0, 0.0)
    frames = comfy.hooks.HookKeyframeGroup()
    for strength, start in ((1.0, 0.0), (-1.0, 0.5)):
        frames.add(comfy.hooks.HookKeyframe(strength=strength, start_percent=start))
    hooks.set_keyframes_on_hooks(frames)
    return comfy.hooks.set_hooks_for_conditioning(conditioning, hooks)


def check(bench, source, model, alone):
    for method in bench.methods:
        chosen = benchmark.models.written(bench.model, ", ".join(bench.names))
        same = benchmark.patch_prompt(model, chosen, bench.encoded(0), bench.encoded(2), method=method)
        off = (bench.draw(source, same, steps=STEPS) - alone).abs().max()
        assert off == 0
    other = benchmark.patch_prompt(model, chosen, bench.encoded(1), bench.encoded(2))
    assert not torch.equal(bench.draw(source, other, steps=STEPS), alone), "another text would be another picture"


def test_a_lora_with_keyframes(bench):
    source = with_keyframes(bench, bench.prompt(0))
    plain, alone = (bench.draw(prompt, steps=STEPS) for prompt in (bench.prompt(0), source))
    assert (alone - plain).abs().max() > 0, "the LoRA does something"
    check(bench, source, bench.model, alone)
    assert torch.equal(bench.draw(bench.prompt(0), steps=STEPS), plain)


def weights_of_each_half(bench):
    """A pack that has other weights in the second half of a run, and puts them there itself around the model's call."""
    patched = comfy.sd.load_lora_for_models(bench.model, None, lora_of_text(bench), 1.0, 0.0)[0]
    loaded = {key: bench.model.get_model_object(key).data for key in patched.patches}
    other = {key: (1.5 * weight).detach() for key, weight in loaded.items()}
    ours = bench.model.clone()

    def around(apply, args):
        weights = loaded if float(args["timestep"][0]) > around.middle else other
        for key, weight in weights.items():
            bench.model.get_model_object(key).data = weight
        try:
            return apply(args["input"], args["timestep"], **args["c"])
        finally:
            for key, weight in loaded.items():
                bench.model.get_model_object(key).data = weight

    sigmas = comfy.samplers.calculate_sigmas(bench.model.get_model_object("model_sampling"), "simple", STEPS)
    around.middle = float(sigmas[STEPS // 2 - 1 : STEPS // 2 + 1].mean())
    ours.set_model_unet_function_wrapper(around)
    return ours


def test_weights_that_another_node_changes(bench):
    model = weights_of_each_half(bench)
    plain, alone = bench.draw(bench.prompt(0), steps=STEPS), bench.draw(bench.prompt(0), model, steps=STEPS)
    assert (alone - plain).abs().max() > 0, "the weights do something"
    check(bench, bench.prompt(0), model, alone)
