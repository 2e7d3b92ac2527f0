"""Keeping the source's latents outside of the place where the changed text is drawn."""

import math

import comfy.sample
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from text_layers.patching import keep as keep_module
from text_layers.patching.drawn import DRAWN
from text_layers.patching.keep import Keep
from text_layers.patching.patch import METHODS, OWN_RUN
from text_layers.testing.tiny_models import MODELS

from .small import CASES, Small, small

TOKENS = ((2, 3), (3, 4))


def told(conditioning, word, tokens, rows=1):
    return [[embeddings, {**extra, DRAWN: [[(word, tokens)]] * rows}] for embeddings, extra in conditioning]


@pytest.fixture
def narrow(monkeypatch):
    """Random models attend to all of a picture nearly alike: the mask begins near the largest attention."""
    monkeypatch.setattr(keep_module, "ATTENTION", (0.985, 0.99))
    monkeypatch.setattr(keep_module, "PREDICTION", (0.8, 0.9))


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} {case[1][:10]}")
def case(request):
    kind, method = request.param
    return small(kind), method


@pytest.fixture
def masks(monkeypatch):
    """Of the runs that have ended."""
    seen, end = [], Keep.end

    def noting(self, drawn):
        seen.append(self.mask)
        return end(self, drawn)

    monkeypatch.setattr(Keep, "end", noting)
    return seen


def edit(tiny, method, kept, known=True, **options):
    target = told(tiny.prompts[1], "TARGET", TOKENS[1]) if known else tiny.prompts[1]
    return tiny.edit(target, method=method, keep=kept, **options)


@pytest.mark.parametrize("known", [True, False], ids=["tokens known", "unknown"])
def test_outside_are_the_source_s_own_latents(case, known, narrow, masks):
    tiny, method = case
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source)
    drawn = tiny.draw(edit(tiny, method, plain, known), positive=source)
    outside = (masks[-1] == 0).expand_as(plain)
    assert 0 < outside.float().mean() < 1
    assert torch.equal(drawn[outside], plain[outside])
    assert not torch.equal(drawn, plain)
    assert torch.equal(tiny.draw(positive=source), plain)  # the model is as it was


def test_nothing_is_kept_where_nothing_is_connected(case):
    tiny, method = case
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    bare = tiny.draw(tiny.edit(method=method))
    assert torch.equal(tiny.draw(edit(tiny, method, None), positive=source), bare) and not torch.equal(bare, tiny.draw())


@pytest.mark.parametrize(("kind", "method"), CASES[:3])
def test_the_mask_follows_the_attention_to_the_changed_tokens(kind, method, monkeypatch):
    """Other tokens are another place."""
    tiny = small(kind)
    places = []
    look = Keep.look

    def noting(self):
        look(self)
        places.append(self._seen[0].clone())

    monkeypatch.setattr(Keep, "look", noting)
    plain = tiny.draw()
    for tokens in ((2, 3), (5, 6)):
        source = told(tiny.prompts[0], "SOURCE", tokens)
        tiny.draw(tiny.edit(told(tiny.prompts[1], "TARGET", tokens), method=method, keep=plain), positive=source)
    assert len(places) == 4 and not torch.allclose(places[1], places[3])


def test_where_tokens_stand_otherwise_than_in_the_embedding_the_prediction_tells_the_place(narrow, masks):
    """HunyuanDiT's layers see two text encoders' tokens one after the other."""
    tiny = small("HunyuanDiT")
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source)
    drawn = [tiny.draw(edit(tiny, OWN_RUN, plain, known), positive=source) for known in (True, False)]
    assert torch.equal(*drawn) and not torch.equal(drawn[0], plain)


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", "euler_ancestral", "dpmpp_sde", "lcm", "uni_pc"])
def test_samplers(sampler, narrow, masks):
    tiny = small("sdxl")
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source, sampler=sampler, steps=4)
    drawn = tiny.draw(edit(tiny, OWN_RUN, plain), positive=source, sampler=sampler, steps=4)
    outside = (masks[-1] == 0).expand_as(plain)
    assert outside.any() and torch.equal(drawn[outside], plain[outside]) and not torch.equal(drawn, plain)


@pytest.mark.parametrize("kind", ["sdxl", "sd3"])
def test_a_batch_is_its_pictures(kind, narrow):
    tiny = small(kind)
    noise = torch.cat([tiny.noise[:1], tiny.noise[:1].flip(-1)])
    source, target = (told(prompt, *about) for prompt, about in zip(tiny.prompts, (("S", TOKENS[0]), ("T", TOKENS[1])), strict=False))
    source, target = ([[e[:1], {k: v[:1] if torch.is_tensor(v) else v for k, v in x.items()}] for e, x in p] for p in (source, target))
    negative = [[e[:1], {k: v[:1] if torch.is_tensor(v) else v for k, v in x.items()}] for e, x in tiny.prompts[2]]
    plain = tiny.draw(positive=source, negative=negative, noise=noise)
    both = tiny.draw(tiny.edit(target, keep=plain), source, negative, noise)
    for n in range(2):
        assert not torch.equal(both[n], plain[n])
        one = tiny.draw(tiny.edit(target, keep=plain[n : n + 1]), source, negative, noise[n : n + 1])
        # A batch of another size is another order of float operations, and the mask's borders are steep.
        assert (both[n] - one[0]).abs().max() <= 0.02 * (both[n] - plain[n]).abs().max()


@pytest.mark.parametrize("kind", ["sdxl", "sd3"])
def test_two_samplers_one_after_the_other(kind, narrow, masks):
    """The second one adds no noise: what the source's path is like is known from where it begins."""
    tiny = small(kind)
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source, steps=4)
    half = tiny.draw(positive=source, steps=4, last_step=2)

    def rest(model):
        nothing = torch.zeros_like(tiny.noise)
        return comfy.sample.sample(
            model, nothing, 4, 4.0, "euler", "simple", source, tiny.prompts[2], half, disable_pbar=True, seed=3, start_step=2,
            disable_noise=True,
        )  # fmt: skip

    assert torch.allclose(rest(tiny.model), plain, atol=1e-4)
    drawn = rest(edit(tiny, METHODS[1], plain))
    outside = (masks[-1] == 0).expand_as(plain)
    assert outside.any() and torch.equal(drawn[outside], plain[outside])
    late = tiny.draw(edit(tiny, METHODS[1], plain, start=2), positive=source, steps=4)
    assert not torch.equal(late, plain)
    assert (drawn - late).abs().max() <= 0.02 * (late - plain).abs().max()


def test_a_run_that_ends_early_is_not_made_clean(narrow):
    tiny = small("sdxl")
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source, steps=4)
    options = {"positive": source, "steps": 4, "last_step": 2}
    half, edited = tiny.draw(**options), tiny.draw(edit(tiny, OWN_RUN, plain), **options)
    assert math.isclose(float(edited.std()), float(half.std()), rel_tol=0.2)  # still with its noise
    assert not (edited == plain).any()


def test_beside_a_noise_mask_of_the_sampler(narrow, masks):
    tiny = small("sdxl")
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source)
    left = torch.zeros(1, 1, *plain.shape[2:])
    left[..., : plain.shape[3] // 2] = 1
    drawn = tiny.draw(edit(tiny, OWN_RUN, plain), positive=source, noise_mask=left)
    outside = (masks[-1] == 0).expand_as(plain)
    assert outside.any() and torch.equal(drawn[outside], plain[outside]) and not torch.equal(drawn, plain)


def test_it_begins_where_the_patch_begins(case, narrow):
    tiny, method = case
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source)
    assert torch.equal(tiny.draw(edit(tiny, method, plain, start=2), positive=source), plain)
    assert not torch.equal(tiny.draw(edit(tiny, method, plain, start=1), positive=source), plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z: z[:, :, :-1], "latents to keep are .* and this sampler draws"),
        (lambda z: z.repeat(2, 1, 1, 1), "latents to keep are .* and this sampler draws"),
        (lambda z: z[:, :2], "latents to keep are .* and this sampler draws"),
    ],
)
def test_latents_of_another_size_are_refused(change, message):
    tiny = small("sdxl")
    plain = tiny.draw()
    with pytest.raises(ValueError, match=message):
        tiny.draw(edit(tiny, OWN_RUN, change(plain)))


def test_two_nodes_keep_one_picture(narrow):
    tiny = small("sdxl")
    source = told(tiny.prompts[0], "SOURCE", TOKENS[0])
    plain = tiny.draw(positive=source)
    first = edit(tiny, OWN_RUN, plain, layers="0")
    both = edit(tiny, OWN_RUN, plain.clone(), model=first, layers="1")
    assert not torch.equal(tiny.draw(both, positive=source), plain)
    with pytest.raises(ValueError, match="Two Patch Prompt Into Layers should keep different pictures"):
        tiny.draw(edit(tiny, OWN_RUN, plain + 1, model=first, layers="1"), positive=source)


def test_the_place_of_attention_on_the_latents():
    """A grid of 2 x 4 tokens on 4 x 8 latents: attention to one corner, then the mask as its definition says."""

    class Model:
        process_latent_in = staticmethod(lambda latents: latents)

    latents = torch.zeros(1, 2, 4, 8)
    keep = Keep(latents, Model)
    assert not keep.see(0, torch.ones(7))  # no grid
    assert not keep.seen
    assert keep.see(0, torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0]))
    assert keep.seen
    keep.look()
    assert torch.equal(keep.into(torch.ones_like(latents), torch.tensor(1.0)), torch.ones_like(latents))  # whose noise is 1
    denoised = torch.zeros_like(latents)
    denoised[..., :2, :2] = 1.0
    out = keep.out(denoised)
    assert (keep.mask[0, 0, :2, :2] == 1).all()
    assert not keep.mask[0, 0, :, 5:].any() and not out[..., 5:].any()
    x = torch.full_like(latents, 7.0)
    mixed = keep.into(x, torch.tensor(0.5))
    assert (mixed[..., :2, :2] == 7).all() and (mixed[..., 5:] == 0.5).all()


# Of all kinds of noise scaling, and all of those that ComfyUI's noise masks treat otherwise.
PICTURES = ["SD15", "SD3"]
VIDEOS = [
    "WAN21_T2V", "WAN22_T2V", "WAN21_SCAIL2", "LTXV", "CogVideoX_T2V", "CosmosT2V", "CosmosI2V", "CosmosT2IPredict2", "CosmosI2VPredict2",
]  # fmt: skip


def first_frame_held(latent):
    mask = torch.ones(1, 1, *latent[1:])
    mask[:, :, :1] = 0
    return mask


@pytest.mark.needs_comfyui("0.30")
@pytest.mark.parametrize(("kind", "held"), [(kind, False) for kind in PICTURES + VIDEOS] + [(kind, True) for kind in VIDEOS])
def test_outside_the_model_is_given_the_source_with_the_noise_of_each_step(kind, held, narrow, monkeypatch):
    """By the formula of the model's own sampling; where a noise mask holds the picture, what the model gets without us."""
    tiny = next(tiny for tiny in MODELS if tiny.kind == kind)
    built, mask, until, into = tiny.build(), first_frame_held(tiny.latent) if held else None, [], Keep.into
    small = Small(built, tiny.noise(), [tiny.conditioning(seed) for seed in range(4)])
    source = small.draw(cfg=1.0)
    monkeypatch.setattr(Keep, "into", lambda self, x, sigma: until.append(self.mask) or into(self, x, sigma))

    def given(model):
        """[(noise level, latents)] of the steps of a run that begins at the source."""
        seen, model = {}, model.clone()

        def around(executor, x, t, *args, **kwargs):
            seen.setdefault(float(t.flatten()[0]), x.clone())
            return executor(x, t, *args, **kwargs)

        model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "text_layers look", around)
        comfy.sample.sample(
            model, small.noise, 4, 1.0, "euler", "simple", small.prompts[0], small.prompts[2], source, denoise=0.8, noise_mask=mask,
            disable_pbar=True, seed=3,
        )  # fmt: skip
        return list(seen.items())

    edited, unpatched = given(edit(small, METHODS[1], source, known=False)), given(built)
    sampling, latents = built.model.model_sampling, built.model.process_latent_in(source)
    assert len(edited) == len(until) == 4 and until[0] is None
    for (level, x), (_, without), place in zip(edited[1:], unpatched[1:], until[1:], strict=True):
        wanted = sampling.noise_scaling(torch.tensor([level]), small.noise.clone(), latents)
        if held:
            wanted = torch.where(mask == 0, without, wanted)
        outside = (place == 0).expand_as(x)
        assert outside.any() and not outside.all()
        # In float32 the noise of the first level is taken off and put on again.
        assert torch.allclose(x[outside], wanted[outside], atol=1e-6 * float(edited[0][1].abs().max()))


def test_a_run_that_begins_at_the_source_takes_its_commonest_colour():
    """A photograph: at the text's place the ground is of two values, most of it 5; the model predicts a ground of 3 with letters of 9."""

    class Model:
        process_latent_in = staticmethod(lambda latents: latents)

    latents = torch.full((1, 1, 4, 8), 5.0)
    latents[..., 1:3, 2:4] = 0.0  # the old letters
    for begins, ground in ((latents.clone(), 5.0), (torch.zeros_like(latents), 3.0), (None, 3.0)):
        keep = Keep(latents, Model, begins)
        keep.see(0, torch.ones(32))
        keep.look()
        denoised = torch.full_like(latents, 3.0)
        denoised[..., 1:3, 5:7] = 9.0
        out = keep.out(denoised)
        assert torch.allclose(out[..., 1, 2], torch.tensor(ground), atol=0.05)  # where the old letters were
        assert torch.allclose(out[..., 1, 5], torch.tensor(9.0 + ground - 3), atol=0.05)


def test_frames_of_a_video_have_places_of_their_own():
    class Model:
        process_latent_in = staticmethod(lambda latents: latents)

    keep = Keep(torch.zeros(1, 2, 3, 4, 8), Model)
    shares = torch.zeros(3, 2, 4)
    shares[1, 0, 0] = 1
    assert keep.see(0, shares.flatten())
    keep.look()
    denoised = torch.ones(1, 2, 3, 4, 8)
    keep.out(denoised)
    assert keep.mask.shape == (1, 1, 3, 4, 8)
    assert keep.mask[0, 0, 1].any() and not keep.mask[0, 0, 0].any() and not keep.mask[0, 0, 2].any()


class Plain:
    process_latent_in = staticmethod(lambda latents: latents)


def in_columns(*values):
    """[1, 1, 4, 12]: four columns of each value."""
    return torch.tensor(values).repeat_interleave(4).expand(1, 1, 4, 12).clone()


def test_the_place_begins_at_15_percent_of_the_largest_attention_and_is_whole_at_40():
    """Evenly between, and one latent more on each side."""
    keep = Keep(torch.zeros(1, 1, 4, 12), Plain)
    shares = torch.zeros(4, 12)
    shares[0, 0], shares[0, 4], shares[3, 8], shares[3, 11] = 2.0, 2 * 0.275, 2 * 0.42, 2 * 0.14
    assert keep.see(0, shares.flatten())
    keep.look()
    keep.out(torch.ones(1, 1, 4, 12))  # nothing is like the source
    wanted = torch.zeros(4, 12)
    wanted[:2, :2], wanted[:2, 3:6], wanted[2:, 7:10] = 1.0, 0.5, 1.0
    assert torch.allclose(keep.mask[0, 0], wanted, atol=1e-5)


def test_the_place_of_a_prediction_begins_at_5_percent_of_the_largest_difference_and_is_whole_at_20():
    keep = Keep(torch.zeros(1, 1, 4, 12), Plain)
    keep.compare(in_columns(3.0, 3.0, 3.0), in_columns(5.0, 3.0 - 0.25, 3.08))
    assert keep.placed
    keep.out(torch.ones(1, 1, 4, 12))
    # Differences are means with their neighbours, so that the columns in the middle are told.
    assert [round(float(keep.mask[0, 0, 2, column]), 4) for column in (0, 1, 6, 10, 11)] == [1, 1, 0.5, 0, 0]


def test_what_is_predicted_like_the_source_is_the_source_s():
    """From 10 percent of the largest change on, all of it from 25."""
    keep = Keep(in_columns(7.0, 7.0, 7.0), Plain)
    keep.see(0, torch.ones(48))
    keep.look()
    out = keep.out(in_columns(8.0, 7.175, 7.08))
    assert [round(float(out[0, 0, 1, column]), 4) for column in (0, 1, 6, 10, 11)] == [8, 8, 7.0875, 7, 7]
    ended = keep.end(in_columns(1.0, 2.0, 3.0))
    assert (ended[..., 10:] == 7).all() and (ended[..., :2] == 1).all() and (ended[..., 6] == 2).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_the_commonest_value_does_not_depend_on_the_latents_scale(scale):
    noise = torch.randn(2, 1000, generator=torch.Generator().manual_seed(1))
    values = torch.cat([0.3 * noise[:, :600] + torch.tensor([[2.0], [-1.0]]), 0.3 * noise[:, 600:] - 3], 1)
    assert torch.allclose(keep_module._mode(scale * values), scale * torch.tensor([2.0, -1.0]), atol=0.1 * scale)
