"""In what a training computes, how fast it learns, and that numbers which are none are said."""

from dataclasses import replace

import comfy.model_management
import pytest
import torch
import transformers
from safetensors.torch import save_file
from text_layers.lora.files import read
from text_layers.lora.optimizer import rate
from text_layers.lora.precision import computing
from text_layers.lora.train import Settings, train
from text_layers.patching import models
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

TINY = {tiny.kind: tiny for tiny in MODELS}


def latents(tiny, count=2, seed=3):
    return list(torch.randn(count, *tiny.latent, generator=torch.Generator().manual_seed(seed)))


def run(kind, model, settings, prompts=None, pictures=None, **others):
    tiny = TINY[kind]
    prompts = prompts or [tiny.conditioning(0)]
    return train(model, pictures or latents(tiny), prompts, models.written(model, "1"), settings, **others)


@pytest.fixture(scope="module")
def sd3():
    return TINY["SD3"].build()


@pytest.mark.parametrize(("kind", "dtype"), [("SDXL", torch.float16), ("SD3", torch.bfloat16)])
def test_fp32_computes_in_fp32(kind, dtype):
    """Weights in few bits give the losses of the same weights in 32, to float32's own precision, and are as they were."""
    tiny = TINY[kind]
    model, twin = tiny.build(dtype), tiny.build()
    twin.model.diffusion_model.load_state_dict({n: w.float() for n, w in model.model.diffusion_model.state_dict().items()})
    seen = set()
    for module in model.model.diffusion_model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda module, args, out: seen.add(out.dtype))
    settings = Settings(steps=1)
    losses = [run(kind, m, settings).losses for m in (model, twin)]
    assert seen == {torch.float32} and losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert {w.dtype for w in model.model.diffusion_model.parameters()} == {dtype} and model.model.manual_cast_dtype is None
    assert not any(getattr(module, "comfy_cast_weights", False) for module in model.model.diffusion_model.modules())


def test_a_device_without_autocast_is_not_asked_for_it():
    """DirectML's, whose torch raises for an autocast that is off, too."""
    for device in map(torch.device, ("privateuseone", "vulkan")):
        with computing(device, False):
            pass
        with pytest.raises(ValueError, match="set training_dtype to fp32"):
            computing(device, True)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_schedules_are_those_of_transformers(schedule):
    settings = Settings(steps=20, warmup=5, schedule=schedule, learning_rate=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    theirs = transformers.get_scheduler(name, optimizer, num_warmup_steps=5, num_training_steps=20)
    for step in range(20):
        assert rate(settings, step) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_batches_that_are_added_up_are_one_batch(sd3):
    """1e-5: additions of float32 in another order."""
    files = [run("SD3", sd3, Settings(steps=3, learning_rate=1e-3, batch=b, accumulation=a)).tensors for b, a in ((6, 1), (2, 3))]
    assert all((files[0][key] - w).abs().max() <= 1e-5 for key, w in files[1].items())
    assert any(w.abs().max() > 1e-3 for key, w in files[0].items() if "lora_B" in key)


def test_the_gradient_is_clipped(sd3):
    """AdamW does not see a gradient's size until it changes from step to step; so the first steps are equal, and later ones are not."""
    clipped, free = (run("SD3", sd3, Settings(steps=3, learning_rate=1e-2, clip=clip)).losses for clip in (1e-3, 0.0))
    assert clipped[:2] == pytest.approx(free[:2], rel=1e-4) and clipped[2] != free[2]


def test_captions_are_dropped_as_often_as_asked(sd3):
    from text_layers.lora.examples import drawn

    settings = Settings(batch=1000, caption_dropout=0.3)
    seen = [e.cond for e in drawn(sd3, [torch.zeros(1, 1)], ["caption"], settings, 0, "nothing")]
    assert abs(seen.count("nothing") / 1000 - 0.3) < 4 * (0.3 * 0.7 / 1000) ** 0.5  # four standard errors
    with pytest.raises(ValueError, match="needs the encoded prompt of no words"):
        run("SD3", sd3, settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"area": (4, 4, 0, 0)}, "has an area"),
        ({"start_percent": 0.5}, "has a time range"),
        ({"end_percent": 0.5}, "has a time range"),
        ({"mask": torch.ones(1, 8, 8)}, "has a mask"),
        ({"strength": 0.5}, "has a strength"),
        ({"control": object()}, "has a ControlNet"),
    ],
)
def test_a_prompt_for_a_part_is_refused(sd3, change, message):
    ((embeddings, extra),) = TINY["SD3"].conditioning(0)
    with pytest.raises(ValueError, match=message):
        run("SD3", sd3, Settings(steps=1), [[[embeddings, extra | change]]])


def test_what_is_no_number_is_named(sd3):
    tiny = TINY["SD3"]
    pictures = latents(tiny)
    pictures[1] = pictures[1].clone()
    pictures[1][0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"latents of picture 2 of 2 hold .*NaN.*VAE"):
        run("SD3", sd3, Settings(steps=1), pictures=pictures)
    ((embeddings, extra),) = tiny.conditioning(0)
    with pytest.raises(ValueError, match=r"prompt .*NaN"):
        run("SD3", sd3, Settings(steps=1), [[[embeddings * float("inf"), extra]]])
    broken = tiny.build()
    with torch.no_grad():
        broken.model.diffusion_model.get_submodule(models.layer_names(broken)[0]).context_block.attn.qkv.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"no number .* before anything is trained"):
        run("SD3", broken, Settings(steps=1))


def test_alpha_follows_the_rank(sd3):
    """At rank 64, too, the LoRA counts once."""
    one, same = (run("SD3", sd3, replace(Settings(rank=8, steps=2), alpha=alpha)).tensors for alpha in (None, 8.0))
    assert all(one[key].equal(w) for key, w in same.items())


def test_the_rank_and_alpha_of_a_lora_that_goes_on(sd3, tmp_path):
    """A step that learns next to nothing leaves it as it was, whatever the share alpha / rank."""
    settings = Settings(rank=2, alpha=1.0, steps=1, learning_rate=1e-2)
    first = run("SD3", sd3, settings).tensors
    save_file(dict(first), tmp_path / "first.safetensors", first.metadata)
    again = run("SD3", sd3, replace(settings, learning_rate=1e-8), start=read(tmp_path / "first.safetensors")).tensors
    assert all((again[key] - w).abs().max() < 1e-6 for key, w in first.items())
    assert any(w.abs().max() > 1e-3 for key, w in first.items() if "lora_B" in key or "lora_up" in key)


def test_the_weights_decay(sd3):
    """AdamW's decay alone moves the first factor in the first step: the second one is zero, and with it the first one's gradient."""
    still, moved = (run("SD3", sd3, Settings(steps=1, learning_rate=rate)).tensors for rate in (1e-8, 0.1))
    first = [key for key in still if "lora_A" in key or "lora_down" in key]
    assert first and all(torch.allclose(moved[key], still[key] * (1 - 0.1 * 0.01), atol=1e-7) for key in first)


def test_noise_and_its_level_are_drawn_anew_for_each_picture_and_step(sd3):
    from text_layers.lora.examples import drawn

    steps = [drawn(sd3, [torch.zeros(1, 4)], ["caption"], Settings(batch=300), step) for step in (0, 1)]
    noises = torch.cat([example.noise for examples in steps for example in examples])
    assert len(noises.unique(dim=0)) == 600 and abs(float(noises.std()) - 1) < 4 / (2 * noises.numel()) ** 0.5
    sigmas = torch.cat([example.sigma for examples in steps for example in examples])
    known = sd3.model.model_sampling.sigmas.cpu()
    assert len(sigmas.unique()) > 300 and known.min() <= sigmas.min() < known.median() < sigmas.max() <= known.max()


def test_a_steps_loss_is_the_mean_over_all_of_its_examples(sd3):
    """Of a LoRA that is not there yet and does not learn, so that the model's own loss on each says it. 1e-5: sums in another order."""
    from text_layers.lora.examples import drawn, encoded, mean_loss

    tiny, settings = TINY["SD3"], Settings(steps=2, batch=3, accumulation=2, learning_rate=0.0)
    losses = run("SD3", sd3, settings).losses
    pictures = [sd3.model.process_latent_in(latent[None]) for latent in latents(tiny)]
    conds = [encoded(sd3, tiny.conditioning(0), picture) for picture in pictures]
    comfy.model_management.load_models_gpu([sd3])
    with torch.no_grad():
        single = [[float(mean_loss(sd3, [one])) for one in drawn(sd3, pictures, conds, settings, step)] for step in (0, 1)]
    assert [len(set(step)) for step in single] == [6, 6] and losses == pytest.approx([sum(step) / 6 for step in single], rel=1e-5)
