"""What video models have that picture models have not: frames beside the text, sound beside the video, samplers of their own."""

from dataclasses import replace
from importlib import import_module

import comfy.nested_tensor
import comfy.samplers
import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.benchmarks.families.checks import TOLERANCE
from text_layers.localization.drawing import Drawing, Setting
from text_layers.patching import models
from text_layers.patching.adapters import UNSERVABLE
from text_layers.patching.comfy import empty_latent
from text_layers.patching.discovery import look_at
from text_layers.patching.drawn import DRAWN
from text_layers.patching.keep import Keep
from text_layers.patching.patch import patch_prompt
from text_layers.testing.attention_probe import recorded
from text_layers.testing.tiny_models import MODELS, TinyModel

pytestmark = [pytest.mark.needs_comfyui("0.30")]


def bench_of(kind, models=""):
    return benchmark.bench_of(next(tiny for tiny in MODELS if tiny.kind == kind and models in tiny.models))


def test_the_first_frames_attention_stays_as_it_is():
    """A Wan layer for image to video attends the first frame as CLIP vision sees it, and then the text."""
    bench = bench_of("WAN21_I2V")
    drawn = []
    for model in (None, bench.edit(bench.names)):
        with recorded(bench.diffusion_model) as calls:
            bench.draw(bench.prompt(0), model, steps=1)
        drawn.append([call for call in calls if call.modules[-1] == "blocks.0.cross_attn"][-2:])
    (frame, text), (patched_frame, patched_text) = drawn
    assert frame.k.shape[2] == 5 and text.k.shape[2] == 10
    assert torch.equal(frame.k, patched_frame.k) and torch.equal(frame.v, patched_frame.v)
    assert not torch.equal(text.k, patched_text.k) and not torch.equal(text.v, patched_text.v)


def test_without_the_first_frames_picture_the_text_would_be_read_twice():
    bench = bench_of("WAN21_I2V")
    (embeddings, extra), *_ = bench.prompt(0)
    bare = [[embeddings, {name: value for name, value in extra.items() if name != "clip_vision_output"}]]
    bench.draw(bare)
    with pytest.raises(RuntimeError, match="Connect clip_vision_output"):
        bench.draw(bare, bench.edit(bench.names))


def test_what_does_not_draw_the_video_keeps_the_sources_text():
    """Wan Animate 2 runs its blocks over the video that drives the picture, too, which is a frame shorter. Here another node does so."""
    bench = bench_of("WAN21_I2V")
    frame, seen = 12, []

    def over_one_frame(arguments, more):
        shorter = {**arguments, "img": arguments["img"][:, :frame], "pe": arguments["pe"][:, :frame]}
        seen[-1].append(more["original_block"](shorter)["img"])
        return more["original_block"](arguments)

    drawn = []
    for model in (bench.model, bench.edit(bench.names)):
        seen.append([])
        driven = model.clone()
        driven.set_model_patch_replace(over_one_frame, "dit", "double_block", 0)
        drawn.append(bench.draw(bench.prompt(0), driven, steps=1))
    assert not torch.equal(*drawn)
    alone, beside = (calls[-len(seen[0]) :] for calls in seen)
    assert alone and all(map(torch.equal, alone, beside))


def test_vace_blocks_stand_where_they_run():
    bench = bench_of("WAN21_Vace")
    order = "blocks.0", "vace_blocks.0", "blocks.1", "blocks.2", "vace_blocks.1", "blocks.3"
    assert bench.names == [f"{part}.cross_attn" for part in order]


def test_two_videos_to_follow_take_the_target_in_the_same_layers():
    """VACE's own blocks run once for each."""
    bench = bench_of("WAN21_Vace")
    frames = [bench.tiny.noise().repeat(1, 2, 1, 1, 1), bench.tiny.noise().flip(-1).repeat(1, 2, 1, 1, 1)]
    followed = {"vace_frames": frames, "vace_mask": [torch.ones(1, 64, 2, 6, 8)] * 2, "vace_strength": [1.0, 0.5]}
    source, target = ([[entry[0], entry[1] | followed]] for entry in (bench.prompt(0)[0], bench.prompt(1)[0]))
    assert torch.equal(bench.draw(source, bench.same()), bench.draw(source))
    # With the target's text in all layers and the same pictures beside it, nothing is left of the source.
    wanted, plain = bench.draw(target, negative=3), bench.draw(source)
    edited = bench.draw(source, bench.edit(bench.names))
    assert (edited - wanted).abs().max() <= TOLERANCE * (wanted - plain).abs().max()


@pytest.mark.parametrize("start", [0, 1])
def test_a_sampler_that_keeps_the_texts_keys_is_refused(start):
    bench = bench_of("WAN21_CausalAR_T2V")
    sampler, sigmas, noise = comfy.samplers.ksampler("ar_video"), torch.tensor([1.0, 0.5, 0.0]), bench.tiny.noise()

    def draw(model):
        positive, negative = bench.prompt(0), bench.prompt(2)
        return comfy.samplers.sample(
            model, noise, positive, negative, 1.0, model.load_device, sampler, sigmas, model.model_options,
            latent_image=torch.zeros_like(noise), disable_pbar=True, seed=1,
        )  # fmt: skip

    draw(bench.model)
    with pytest.raises(RuntimeError, match="frame by frame"):
        draw(bench.edit(bench.names, start=start))


def test_the_place_of_the_text_is_told_frame_by_frame():
    """Attention in one frame alone holds the other one."""
    bench = bench_of("WAN21_T2V")
    latents = bench.tiny.noise()
    keep = Keep(latents, bench.model.model)
    shares = torch.zeros(2, 3, 4)
    shares[1, 1, 2] = 1  # of a grid of 3 x 4 tokens, the second frame's
    assert keep.see(0, shares.flatten()) and keep.seen
    keep.look()
    keep.out(latents + 1)
    assert keep.mask.shape == (1, 1, 2, 6, 8)
    assert not keep.mask[0, 0, 0].any() and keep.mask[0, 0, 1, 2:4, 4:6].min() > 0
    assert not keep.mask[0, 0, 1, :, 0].any()


def test_tokens_that_stand_for_two_frames_tell_no_place(monkeypatch):
    """CogVideoX 1.5's: as many as squares of three latents in each of four frames would be."""
    bench = bench_of("CogVideoX_I2V")
    latents = bench.tiny.noise()
    assert latents.shape[2:] == (4, 6, 8) and bench.diffusion_model.patch_size_t == 2
    assert not Keep(latents, bench.model.model).see(0, torch.ones(2 * 3 * 4)) and 4 * 2 * 3 == 2 * 3 * 4
    compared, compare = [], Keep.compare
    monkeypatch.setattr(Keep, "compare", lambda self, *pictures: compared.append(self) or compare(self, *pictures))
    told = [
        [[embeddings, {**extra, DRAWN: [[(word, (3, 4))]]}] for embeddings, extra in prompt]
        for word, prompt in (("SOURCE", bench.prompt(0)), ("TARGET", bench.encoded(1)))
    ]
    chosen = models.written(bench.model, "1")
    bench.draw(told[0], patch_prompt(bench.model, chosen, told[1], keep=latents))
    assert len(compared) == 1  # the place is where the target changes the prediction


@pytest.mark.parametrize(("kind", "which"), [("LTXAV", "LTX-2"), ("LTXAV", "LTX-2.3"), ("MiniMaxH3", "")])
def test_sound_is_drawn_beside_the_video(kind, which):
    bench = bench_of(kind, which)
    noise = bench.tiny.noise()
    assert isinstance(noise, comfy.nested_tensor.NestedTensor)
    plain, edited = bench.draw(bench.prompt(0)), bench.draw(bench.prompt(0), bench.edit(bench.names))
    video = noise.tensors[0][0].numel()
    assert not torch.equal(plain[:, :video], edited[:, :video])
    with pytest.raises(ValueError, match="a video with sound"):
        bench.draw(bench.prompt(0), bench.edit(bench.names, keep=noise))


def test_ltx_2_draws_without_sound_too():
    bench = bench_of("LTXAV", "LTX-2")
    silent = benchmark.bench_of(replace(bench.tiny, sound=None))
    assert torch.equal(silent.draw(silent.prompt(0), silent.same()), silent.draw(silent.prompt(0)))
    ours, theirs, size = benchmark.compared(silent, silent.names[1:2])
    assert (ours - theirs).abs().max() <= TOLERANCE * size


def test_embeddings_of_ltx_2_are_taken_before_and_behind_its_connectors():
    bench = replace(bench_of("LTXAV", "LTX-2"), cfg=1.0)
    chosen = models.written(bench.model, ", ".join(bench.names))

    def behind(which):
        """The text as an encoder gives it that has done what the connectors do."""
        with torch.inference_mode():
            embeddings = bench.diffusion_model.preprocess_text_embeds(bench.encoded(which)[0][0], unprocessed=True)
        return [[embeddings, {"pooled_output": None}]]

    before, after = (
        bench.draw(source, patch_prompt(bench.model, chosen, target))
        for source, target in ((bench.prompt(0), bench.encoded(1)), (behind(0), behind(1)))
    )
    assert torch.equal(before, after)
    with pytest.raises(ValueError, match="from another text encoder"):
        bench.draw(bench.prompt(0), patch_prompt(bench.model, chosen, behind(1)))
    other = [[torch.zeros(1, 10, 32), {"pooled_output": None}]]
    with pytest.raises(ValueError, match="takes 24 or 48"):
        patch_prompt(bench.model, chosen, other)


def test_what_minimax_says_of_its_tokens_is_the_targets():
    """Which of them show a picture: they are as many as the target's text has tokens."""
    bench = bench_of("MiniMaxH3")
    longer = replace(bench, lengths=(10, 13, 10, 10), cfg=1.0)
    wanted, plain = longer.draw(longer.prompt(1)), longer.draw(longer.prompt(0))
    ours, theirs, size = benchmark.compared(longer, longer.names)
    assert (ours - theirs).abs().max() <= TOLERANCE * size
    assert (ours - wanted).abs().max() < (plain - wanted).abs().max()


def test_a_search_says_which_model_and_which_latent_it_cannot_take():
    bench = bench_of("MiniMaxH3")
    with pytest.raises(ValueError, match="MiniMax H3 draws one video at a time"):
        Drawing(bench.model, None, None, [], Setting("a sign with {word}", "", {"samples": bench.tiny.noise()}))
    with pytest.raises(ValueError, match="Connect an empty latent of the video alone"):
        empty_latent(bench.model, {"samples": bench.tiny.noise()})


def test_a_model_that_a_picture_tells_what_to_make_is_refused_with_the_reason():
    config = {
        "image_model": "hunyuan3d2", "in_channels": 4, "context_in_dim": 8, "hidden_size": 32, "mlp_ratio": 2.0, "num_heads": 2, "depth": 1,
        "depth_single_blocks": 1, "qkv_bias": True, "guidance_embed": False,
    }  # fmt: skip
    model = TinyModel("Hunyuan3Dv2", "", config, (4, 16), 8, picture=16, layers=0).build()
    look_at(model, [[torch.zeros(1, 3, 8), {"pooled_output": None}]])
    with pytest.raises(ValueError, match="Hunyuan3Dv2 models have no text layers: a picture tells it what to make"):
        models.family_of(model)


@pytest.mark.parametrize("kind", UNSERVABLE)
def test_a_model_without_text_to_draw_is_there(kind):
    """Under the name that is refused."""
    module, name = kind.split(":")
    assert isinstance(getattr(import_module(module), name), type)
