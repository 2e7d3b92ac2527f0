"""Training against diffusers and peft, and what it leaves behind."""

from dataclasses import replace

import comfy.model_management
import comfy.sd
import comfy.utils
import diffusers
import pytest
import torch
from peft import LoraConfig
from text_layers.benchmarks.families.checks import Bench
from text_layers.lora import preview
from text_layers.lora.adapters import adapters
from text_layers.lora.examples import Example, alike, encoded, given, loss
from text_layers.lora.files import LoraFile, read
from text_layers.lora.keeping import Keeper
from text_layers.lora.train import Settings, train
from text_layers.patching import models
from text_layers.testing.memory import peak_bytes
from text_layers.testing.tiny_models import MODELS

from ..patching.diffusers_models import PAIRS
from ..patching.half_loaded import HalfLoaded

RANK, ALPHA = 3, 6
TINY = {tiny.kind: tiny for tiny in MODELS}


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def flat(name):
    """Of a module in a LoRA file, as kohya spells modules."""
    return name.removeprefix("lora_unet_").removeprefix("transformer.").replace(".", "_")


@pytest.mark.parametrize("name", ["SDXL", "SD3"])
def test_gradients_are_those_of_diffusers_and_peft(name):
    """The same weights, adapters, noise and noise level: 1e-4 of the largest gradient, as float32 and two orders of operations allow."""
    pair = next(pair for pair in PAIRS if pair.name == name)
    model, theirs = pair.build()
    comfy.model_management.load_models_gpu([model])
    layers = models.written(model, "1")
    latents, noise = random(1, 1, *pair.ours.latent), random(2, 1, *pair.ours.latent)
    sampling = model.model.model_sampling
    sigma = sampling.sigmas[len(sampling.sigmas) // 2].reshape(1).clone()
    conds = given(model, [encoded(model, pair.ours.conditioning(0), latents)])
    seen = []
    with adapters(model, layers, RANK, ALPHA, seed=0) as added:
        for seed, p in enumerate(added.parameters()):
            with torch.no_grad():
                p.copy_(0.1 * random(100 + seed, *p.shape))  # up matrices begin at zero, and so would the gradients of the others
        model.model.diffusion_model.register_forward_hook(
            lambda module, args, kwargs, out: seen.append(dict(zip(("x", "t"), args, strict=False)) | kwargs), with_kwargs=True
        )
        loss(model, latents, noise, sigma, conds).backward()
        parts = {}
        for path, module in added.modules.items():
            for number, part in enumerate(module.parts):
                parts[path, number] = {k: getattr(part, k)["default"].weight for k in ("lora_A", "lora_B")}
        file = added.lora()
    (c,) = seen
    # diffusers: what its training scripts do.
    modules = sorted({key.rsplit(".lora", 1)[0] for key in file})
    paths = {path.replace(".", "_"): path for path, module in theirs.named_modules() if isinstance(module, torch.nn.Linear)}
    theirs.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=[paths[flat(m)] for m in modules]))
    weights = dict(theirs.named_parameters())
    for key, tensor in file.items():
        kind = "lora_A" if "lora_A" in key or "lora_down" in key else "lora_B"
        tensor = tensor if kind == "lora_A" else tensor / (ALPHA / RANK)
        weights[f"{paths[flat(key.rsplit('.lora', 1)[0])]}.{kind}.default.weight"].data.copy_(tensor)
    if name == "SDXL":
        noisy, wanted = (latents + sigma * noise) / (sigma**2 + 1) ** 0.5, noise
    else:
        noisy, wanted = (1 - sigma) * latents + sigma * noise, noise - latents
    assert torch.allclose(c["x"], noisy, atol=1e-6)
    detached = {k: v.detach() if torch.is_tensor(v) else v for k, v in c.items()}
    torch.nn.functional.mse_loss(pair.call(theirs, noisy, detached["t"], detached), wanted).backward()
    largest = max(float(w.grad.abs().max()) for w in weights.values() if w.grad is not None)
    assert largest > 0
    compared = 0
    for part, module in zip(parts.values(), _in_order(file), strict=True):
        for kind, p in part.items():
            grad = weights[f"{paths[flat(module)]}.{kind}.default.weight"].grad
            assert (p.grad - grad).abs().max() <= 1e-4 * largest, (module, kind)
            compared += 1
    assert compared == len(file) == sum(w.grad is not None for w in weights.values()) == 8


def _in_order(file):
    return list(dict.fromkeys(key.rsplit(".lora", 1)[0] for key in file))


@pytest.mark.parametrize("name", ["SDXL", "SD3"])
def test_diffusers_pipelines_load_the_file(name):
    """Both predictions with the LoRA: apart by twice as much as without it (see diffusers_models.pair), and it changes them. Twice, because
    a projection with a LoRA rounds two products, its own and the LoRA's, which the two sides add up in another order."""
    pair = next(pair for pair in PAIRS if pair.name == name)
    model, theirs = pair.build()
    with adapters(model, models.written(model, "0, 2"), RANK, ALPHA, seed=0) as added:
        for seed, p in enumerate(added.parameters()):
            with torch.no_grad():
                p.copy_(0.3 * random(100 + seed, *p.shape))
        file = added.lora()
    calls = []
    for patched in (model, comfy.sd.load_lora_for_models(model, None, file, 1.0, 0)[0]):
        handle = model.model.diffusion_model.register_forward_hook(
            lambda module, args, kwargs, out: calls.append((dict(zip(("x", "t"), args, strict=False)) | kwargs, out)), with_kwargs=True
        )
        Bench(pair.ours, patched, cfg=1.0).draw(pair.ours.conditioning(0), steps=1)
        handle.remove()
    if name == "SDXL":
        state, *_ = diffusers.StableDiffusionXLPipeline.lora_state_dict(dict(file), unet_config=theirs.config)
        diffusers.StableDiffusionXLPipeline.load_lora_into_unet(state, None, theirs)
    else:
        diffusers.StableDiffusion3Pipeline.load_lora_into_transformer(
            diffusers.StableDiffusion3Pipeline.lora_state_dict(dict(file)), theirs
        )
    c, ours = calls[-1]
    assert not ours.equal(calls[0][1])
    with torch.no_grad():
        predicted = pair.call(theirs, c["x"], c["t"], c)
    assert (predicted - ours).abs().max() <= 2 * pair.tolerance * ours.abs().max()
    assert (calls[0][1] - ours).abs().max() > 1000 * pair.tolerance * ours.abs().max()


@pytest.mark.any_comfyui
@pytest.mark.parametrize("kind", ["SDXL", "SD3", "Flux", "PixArtAlpha", "Lumina2"])
def test_the_trained_file_does_what_was_trained(kind):
    """Through the stock loader: the loss on the trained pictures falls by it, in the text layers alone, and the model is as it was."""
    tiny = TINY[kind]
    model = tiny.build()
    before = {name: w.clone() for name, w in model.model.state_dict().items()}
    layer = models.layer_names(model)[1]
    latents, prompts = random(3, 2, *tiny.latent), [tiny.conditioning(seed) for seed in (0, 1)]
    with torch.inference_mode():  # as a node runs
        trained = train(
            model, list(latents), prompts, models.written(model, layer), Settings(steps=30, learning_rate=1e-2, batch=2, seed=4)
        )
    assert len(trained.losses) == 30
    after = model.model.state_dict()
    assert list(after) == list(before) and all(after[name].equal(w) for name, w in before.items())
    assert not any(p.requires_grad and "lora" in n for n, p in model.model.named_parameters())
    with_lora = comfy.sd.load_lora_for_models(model, None, trained.tensors, 1.0, 0)[0]
    assert with_lora.patches and all(key.startswith(f"diffusion_model.{layer}.") for key in with_lora.patches)
    assert measured(with_lora, tiny, latents, prompts) < measured(model, tiny, latents, prompts)


def measured(model, tiny, latents, prompts):
    """Mean loss at four noise levels."""
    comfy.model_management.load_models_gpu([model])
    sampling = model.model.model_sampling
    latents = model.model.process_latent_in(latents)
    total = 0.0
    with torch.no_grad():
        for n, prompt in enumerate(prompts):
            for share in (0.3, 0.5, 0.7, 0.9):
                sigma = sampling.sigmas[int(share * len(sampling.sigmas))].reshape(1)
                noise = random(50 + n, 1, *tiny.latent)
                what = given(model, [encoded(model, prompt, latents[:1])])
                total += float(loss(model, latents[n : n + 1], noise, sigma, what))
    comfy.model_management.unload_all_models()
    return total


def run(tiny, model, settings, layers="1", start=None, **others):
    what = (list(random(3, 2, *tiny.latent)), [tiny.conditioning(seed) for seed in (0, 1)], models.written(model, layers), settings)
    return train(model, *what, start and LoraFile("", start, {}), **others).tensors


@pytest.mark.any_comfyui
@pytest.mark.parametrize("kind", ["SDXL", "SD3", "PixArtAlpha", "QwenImage"])
def test_a_batch_is_the_mean_of_its_pictures(kind):
    """The tolerance is float32's, for other orders of additions."""
    tiny = TINY[kind]
    model = tiny.build()
    comfy.model_management.load_models_gpu([model])
    latents, noise = random(3, 2, *tiny.latent), random(4, 2, *tiny.latent)
    conds = [encoded(model, tiny.conditioning(seed, 6), latents[:1]) for seed in (0, 1)]
    sigmas = torch.stack([model.model.model_sampling.sigmas[n] for n in (300, 700)])
    with torch.no_grad():
        singles = [loss(model, latents[n : n + 1], noise[n : n + 1], sigmas[n : n + 1], given(model, [conds[n]])) for n in (0, 1)]
        assert loss(model, latents, noise, sigmas, given(model, conds)).item() == pytest.approx(sum(singles).item() / 2, rel=1e-5)


@pytest.mark.parametrize("kind", ["SD3", "SDXL"])
def test_one_call_takes_pictures_of_one_size_with_prompts_of_one_length(kind):
    """Twice the tokens is not the same prompt to joint attention; ComfyUI would repeat those of the shorter one."""
    model, tiny = TINY[kind].build(), TINY[kind]
    comfy.model_management.load_models_gpu([model])
    channels, height, width = tiny.latent
    latents = [torch.zeros(1, channels, height, w) for w in (width, width, width, 2 * width)]
    first, longer, other, wider = (
        Example(latent, latent, torch.ones(1), encoded(model, tiny.conditioning(0, tokens), latent))
        for tokens, latent in zip((6, 12, 6, 6), latents, strict=True)
    )
    assert [list(map(id, group)) for group in alike([wider, first, longer, other])] == [
        [id(wider)], [id(first), id(other)], [id(longer)]
    ]  # fmt: skip


@pytest.mark.any_comfyui
def test_pictures_of_different_size_are_trained_together():
    model, tiny = TINY["SDXL"].build(), TINY["SDXL"]
    channels, *_ = tiny.latent
    latents = [random(n, channels, 16, width) for n, width in enumerate((16, 24, 16))]
    trained = train(model, latents, [tiny.conditioning(0)], models.written(model, "1"), Settings(steps=12, batch=4, learning_rate=1e-2))
    assert sum(trained.losses[-5:]) < sum(trained.losses[:5])


def test_the_same_seed_gives_the_same_file():
    model, tiny = TINY["SD3"].build(), TINY["SD3"]
    first, again, other = (run(tiny, model, Settings(steps=3, seed=seed)) for seed in (5, 5, 0))
    assert all(first[key].equal(again[key]) for key in first) and not all(first[key].equal(other[key]) for key in first)


def test_an_interruption_keeps_what_was_trained_and_leaves_the_model_as_it_was(tmp_path):
    model, tiny = TINY["SDXL"].build(), TINY["SDXL"]
    before = {name: w.clone() for name, w in model.model.state_dict().items()}
    modules = {name: type(module) for name, module in model.model.named_modules()}

    def interrupt(losses, draw):
        if len(losses) == 2:
            comfy.model_management.interrupt_current_processing()

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(tiny, model, Settings(steps=9), tell=interrupt, keep=Keeper(tmp_path / "mine.training", (tmp_path, "mine")))
    two, kept = run(tiny, model, Settings(steps=2)), read(tmp_path / "mine.safetensors")
    assert all(kept.tensors[key].equal(w) for key, w in two.items())
    goes_on = run(tiny, model, Settings(steps=1), start=two)
    assert not any(goes_on[key].equal(w) for key, w in two.items())
    assert {name: type(module) for name, module in model.model.named_modules()} == modules
    assert all(w.equal(before[name]) for name, w in model.model.state_dict().items())


@pytest.mark.parametrize(
    ("pictures", "prompts", "settings", "message"),
    [
        (0, 1, {}, "no pictures"),
        (3, 2, {}, "2 prompts for 3 pictures"),
        (1, 1, {"rank": 0}, "The rank is 0"),
        (1, 1, {"steps": 0}, "must be 1 or more"),
        (1, 1, {"learning_rate": 1e30, "steps": 5}, "lower the learning rate"),
    ],
)
def test_errors_say_what_is_wrong(pictures, prompts, settings, message):
    model, tiny = TINY["SD3"].build(), TINY["SD3"]
    with pytest.raises(ValueError, match=message):
        train(model, list(random(3, pictures, *tiny.latent)), [tiny.conditioning(n) for n in range(prompts)], models.written(model, "1"),
              Settings(**settings))  # fmt: skip


def test_it_goes_on_only_with_a_file_of_the_same_layers_and_rank():
    model, tiny = TINY["SD3"].build(), TINY["SD3"]
    first = run(tiny, model, Settings(steps=1, rank=2))
    with pytest.raises(ValueError, match="with rank 3 it would be"):
        run(tiny, model, Settings(steps=1, rank=3), start=first)
    with pytest.raises(ValueError, match="of other layers"):
        run(tiny, model, Settings(steps=1, rank=2), "0", first)


@pytest.mark.any_comfyui
@pytest.mark.parametrize("kind", ["SDXL", "SD3", "Flux"])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.bfloat16])
def test_weights_in_few_bits(kind, dtype):
    """The losses are those of ordinary weights of the same values, as far as bfloat16's 8 bits go."""
    tiny = TINY[kind]
    model, twin = tiny.build(dtype, torch.float32), tiny.build()
    twin.model.diffusion_model.load_state_dict({n: w.float() for n, w in model.model.diffusion_model.state_dict().items()})
    settings = Settings(steps=4, learning_rate=1e-3, low_precision=True)
    losses = [
        train(m, list(random(3, 1, *tiny.latent)), [tiny.conditioning(0)], models.written(m, "1"), settings).losses for m in (model, twin)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert {w.dtype for w in model.model.diffusion_model.state_dict().values()} >= {dtype}


@pytest.mark.any_comfyui
def test_a_model_that_is_loaded_by_halves():
    """The file is that of the whole model: what is cast at each use are the same numbers."""
    tiny = TINY["SD3"]
    whole = tiny.build()
    files = [run(tiny, whole, Settings(steps=3, learning_rate=1e-2))]
    model = tiny.build()
    half = HalfLoaded(model.model, model.load_device, model.offload_device)
    before = {name: w.clone() for name, w in half.model.state_dict().items()}
    comfy.model_management.unload_all_models()
    files.append(run(tiny, half, Settings(steps=3, learning_rate=1e-2)))
    assert half.model.model_lowvram, "the model was loaded completely"
    assert all(files[0][key].equal(w) for key, w in files[1].items())
    assert all(w.equal(before[name]) for name, w in half.model.state_dict().items())


def test_memory_that_runs_out_in_the_middle_of_a_step_leaves_the_model_as_it_was(tmp_path):
    tiny = TINY["SDXL"]
    model = tiny.build()
    before = {name: w.clone() for name, w in model.model.state_dict().items()}
    modules = {name: type(module) for name, module in model.model.named_modules()}
    calls = []

    def run_out(module, args, out):
        calls.append(torch.is_grad_enabled())
        if sum(calls) == 3:
            raise torch.OutOfMemoryError("no memory is left")

    handle = model.model.diffusion_model.get_submodule(models.layer_names(model)[-1]).register_forward_hook(run_out)
    with pytest.raises(ValueError, match=r"not enough memory for a training step\. Ways out: gradient"):
        run(tiny, model, Settings(steps=9), keep=Keeper(tmp_path / "mine.training", (tmp_path, "mine")))
    handle.remove()
    assert read(tmp_path / "mine.safetensors").metadata["ss_steps"] == "2"
    assert {name: type(module) for name, module in model.model.named_modules()} == modules
    assert all(w.equal(before[name]) for name, w in model.model.state_dict().items())
    run(tiny, model, Settings(steps=1))


@pytest.mark.any_comfyui
def test_training_on_a_model_that_carries_a_lora():
    """What is trained is what it would be with the LoRA in the weights, and the LoRA stays on the model."""
    tiny = TINY["SD3"]
    model, twin = tiny.build(), tiny.build()
    generator = torch.Generator().manual_seed(9)
    change = {
        f"diffusion_model.{name}": (0.05 * torch.randn(w.shape, generator=generator),)
        for name, w in model.model.diffusion_model.named_parameters()
        if w.ndim == 2 and name.endswith("weight")
    }
    with torch.no_grad():
        for name, (difference,) in change.items():
            comfy.utils.get_attr(twin.model, name).add_(difference)
    with_lora = model.clone()
    with_lora.add_patches(change)
    settings = Settings(steps=3, learning_rate=1e-2)
    files = [run(tiny, m, settings) for m in (with_lora, twin, model)]
    assert all((files[0][key] - w).abs().max() <= 1e-5 for key, w in files[1].items())
    assert not all((files[0][key] - w).abs().max() <= 1e-3 for key, w in files[2].items())
    assert set(with_lora.patches) == set(change) and not model.patches


def test_the_papers_first_weights():
    """Rank 4 with alpha 4: normal down matrices of deviation 1 / rank, up matrices zero, in queries, keys, values and output."""
    for kind, places in (("SDXL", {"to_q", "to_k", "to_v", "to_out.0"}), ("SD3", {"attn.qkv", "attn.proj"})):
        model = TINY[kind].build()
        with adapters(model, models.written(model, "1"), 4, 4, seed=0) as added:
            (layer,) = models.written(model, "1").names
            assert {path.removeprefix(f"{layer}.").removeprefix("x_block.") for path in added.modules} == places
            parts = [part for module in added.modules.values() for part in module.parts]
            assert len(parts) == 4
            down = torch.cat([part.lora_A["default"].weight.flatten() for part in parts])
            assert abs(float(down.std()) - 0.25) < 4 * 0.25 / (2 * len(down)) ** 0.5  # four standard errors of a deviation
            assert all(not part.lora_B["default"].weight.any() for part in parts)


def test_the_first_weights_are_the_seeds():
    model = TINY["SD3"].build()

    def first(seed):
        with adapters(model, models.written(model, "1"), 4, 4, seed) as added:
            return torch.cat([w.flatten() for name, w in added.lora().items() if "lora_A" in name or "lora_down" in name])

    before = torch.random.get_rng_state()
    assert first(5).equal(first(5)) and not first(5).equal(first(0)) and torch.random.get_rng_state().equal(before)


@pytest.mark.any_comfyui
def test_checkpointing_takes_less_memory():
    model, tiny = TINY["SD3"].build(), replace(TINY["SD3"], latent=(16, 64, 64))
    peaks = [peak_bytes(lambda c=c: run(tiny, model, Settings(steps=1, batch=4, checkpointing=c), "0"))[1] for c in (False, True)]
    assert peaks[1] < 0.7 * peaks[0]


def test_pictures_in_the_middle_of_a_training_are_those_of_the_lora_so_far():
    tiny = TINY["SD3"]
    model = tiny.build()
    drawn = []
    trained = run(tiny, model, Settings(steps=3, learning_rate=1e-2, seed=6), tell=lambda losses, draw: drawn.append(draw()))
    assert len(drawn) == 3 and not drawn[0].equal(drawn[1])
    with_lora = comfy.sd.load_lora_for_models(model, None, trained, 1.0, 0)[0]
    after = preview.draw(with_lora, tiny.conditioning(0), random(3, 2, *tiny.latent)[:1], 6)
    assert (after - drawn[2]).abs().max() <= 1e-3 * after.abs().max()  # merged into the weights or beside them
    # And drawing changes nothing of the training.
    plain = run(tiny, model, Settings(steps=3, learning_rate=1e-2, seed=6))
    assert all(plain[key].equal(w) for key, w in trained.items())


# ComfyUI 0.30 computes these with operations of comfy_kitchen that have no gradient.
WITHOUT_GRADIENT = ("JoyImage", "ErnieImage")


SERVED = {kind: tiny for kind, tiny in TINY.items() if tiny.family and tiny.exists}
FIRST = {tiny.family: kind for kind, tiny in reversed(SERVED.items())}


@pytest.mark.parametrize("kind", sorted({*FIRST.values(), *WITHOUT_GRADIENT} & SERVED.keys()))  # what is trained is a matter of the family
def test_every_family_is_trained_in_its_text_layers_or_says_why_not(kind):
    tiny = TINY[kind]
    model = tiny.build()
    layer, settings = models.layer_names(model)[-1], Settings(steps=2, batch=3, learning_rate=1e-3)
    if kind in WITHOUT_GRADIENT:
        with pytest.raises(ValueError, match="operations that have no gradient"):
            run(tiny, model, settings, layer)
        return
    if tiny.sound:
        with pytest.raises(ValueError, match="draw sound beside the video"):
            run(tiny, model, settings, layer)
        return
    trained = run(tiny, model, settings, layer)
    recomputed = run(tiny, model, replace(settings, checkpointing=True), layer)
    assert all(trained[key].equal(w) for key, w in recomputed.items())
    with_lora = comfy.sd.load_lora_for_models(model, None, trained, 1.0, 0)[0]
    assert with_lora.patches and all(key.startswith(f"diffusion_model.{layer}.") for key in with_lora.patches)
    assert all(w.isfinite().all() for w in trained.values())
    assert any(w.abs().max() > 0 for name, w in trained.items() if "lora_up" in name or "lora_B" in name)
