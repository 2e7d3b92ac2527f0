"""Other nodes send the rows of a call in another order, number or size than ComfyUI makes them, and say so nowhere: each row still takes
its own text's target. Judged by the same rows sent as ComfyUI sends them, or one at a time."""

from contextlib import suppress
from functools import cache

import comfy.conds
import pytest
import torch
from text_layers.benchmarks.families.checks import bench_of
from text_layers.patching import models
from text_layers.patching.patch import OWN_RUN, patch_prompt
from text_layers.patching.place import Entry
from text_layers.testing.tiny_models import MODELS

from .small import CASES, again, assert_same, small

HALVES = ("left", "right")
# Which row is whose is found out before it is known what is patched: the longest lists take the first three ways, one case all of them.
LONG = CASES[:3]
REFUSED = r"(?i)rows|prompt"


def sent(model, send):
    """A function around the call of the model. send(x, call): call(x, rows) calls the model, each row with the text that ComfyUI's row of
    this number has."""
    patched = model.clone()

    def around(apply, args):
        count = len(args["input"])

        def call(x, rows):
            c = {k: v[rows] if torch.is_tensor(v) and len(v) == count else v for k, v in args["c"].items()}
            return apply(x, args["timestep"][rows], **c)

        return send(args["input"], call)

    patched.set_model_unet_function_wrapper(around)
    return patched


def rows_in_reverse(x, call):
    rows = list(reversed(range(len(x))))
    return call(x[rows], rows)[rows]


def rows_doubled(x, call):
    rows = 2 * list(range(len(x)))
    return sum(call(x[rows], rows).chunk(2)) / 2


def rows_one_by_one(x, call):
    return torch.cat([call(x[[row]], [row]) for row in range(len(x))])


def tiled(x, call, send):
    """send(call, tiles): the tiles of the picture, 2 x 2, each with all of ComfyUI's rows."""
    h, w = (size // 2 for size in x.shape[-2:])
    places = [(..., slice(top, top + h), slice(left, left + w)) for top in (0, h) for left in (0, w)]
    out = torch.empty_like(x)
    for place, tile in zip(places, send(call, [x[place] for place in places]), strict=True):
        out[place] = tile
    return out


def tiles_in_one_batch(x, call):
    """As Tiled Diffusion: all rows of the first tile, then all of the second."""
    return tiled(x, call, lambda call, tiles: call(torch.cat(tiles), len(tiles) * list(range(len(x)))).split(len(x)))


def tiles_one_by_one(x, call):
    return tiled(x, call, lambda call, tiles: [call(tile, list(range(len(x)))) for tile in tiles])


def as_comfyui_sends_them(x, call):
    return call(x, list(range(len(x))))


@pytest.mark.any_comfyui
@pytest.mark.parametrize(
    ("send", "reference", "pictures", "kind", "method"),
    [
        (*sent, *case)
        for sent, cases in (
            ((rows_in_reverse, as_comfyui_sends_them, 1), LONG),
            ((rows_doubled, as_comfyui_sends_them, 2), LONG),
            ((rows_one_by_one, as_comfyui_sends_them, 2), LONG),
            ((tiles_in_one_batch, tiles_one_by_one, 2), CASES),
        )
        for case in cases
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_rows_take_the_target_of_their_own_text(kind, method, send, reference, pictures):
    bench = small(kind)
    noise = torch.cat([bench.noise, bench.noise.flip(-1)])[:pictures]
    layers = bench.everything.replace("0-", "1-")
    wanted = bench.draw(bench.edit(model=sent(bench.model, reference), layers=layers, method=method), noise=noise)
    if pictures == 1:
        edit = bench.edit(model=sent(bench.model, send), layers=layers, method=method)
    else:
        edit = sent(bench.edit(layers=layers, method=method), send)
    assert_same(bench.draw(edit, noise=noise), wanted, bench.draw(sent(bench.model, reference), noise=noise))


@pytest.mark.any_comfyui
@pytest.mark.parametrize("run", [0, 1], ids=["the target's run", "the source's run"])
def test_one_of_the_two_runs_comes_row_by_row(run):
    """ComfyUI splits a call where memory is short, which may be so in one run and not in the other."""
    bench, calls = small("sd3"), []
    noise = torch.cat([bench.noise, bench.noise.flip(-1)])

    def send(x, call):
        calls.append(1)  # of two steps each
        return (rows_one_by_one if (len(calls) - 1) // 2 == run else as_comfyui_sends_them)(x, call)

    found = bench.draw(sent(bench.edit(), send), noise=noise)
    assert len(calls) == 4
    assert_same(found, bench.draw(bench.edit(), noise=noise), bench.draw(noise=noise))


@pytest.mark.any_comfyui
@pytest.mark.parametrize("changed", [slice(None), slice(1)], ids=["all", "of one side"])
@pytest.mark.parametrize(("kind", "method"), CASES[:3])
def test_rows_with_a_text_that_is_nobodys_are_refused(kind, method, changed):
    """Four tiles a call, with texts that another node has changed."""
    bench = small(kind)

    def other_texts(model):
        patched = sent(model, tiles_in_one_batch)
        tiles = patched.model_options["model_function_wrapper"]

        def around(apply, args):
            text = args["c"]["c_crossattn"].clone()
            text[changed] *= 1.1
            return tiles(apply, {**args, "c": {**args["c"], "c_crossattn": text}})

        patched.set_model_unet_function_wrapper(around)
        return patched

    with pytest.raises(RuntimeError, match=REFUSED):
        bench.draw(other_texts(bench.edit(method=method)))


def joined(first, second):
    """A conditioning with a text for each of two pictures, as batched prompts have it."""
    (one, extra), (two, other) = first[0], second[0]
    return [[torch.cat([one, two]), {k: torch.cat([v, other[k]]) if torch.is_tensor(v) else v for k, v in extra.items()}]]


@pytest.mark.any_comfyui
@pytest.mark.parametrize(
    ("send", "kind", "method"),
    [
        (send, *case)
        for send, cases in ((as_comfyui_sends_them, CASES), (rows_one_by_one, LONG), (rows_in_reverse, CASES[1:3]))
        for case in cases
    ],
)
def test_pictures_with_texts_of_their_own(kind, method, send):
    """A run of the target sends them in the same order; elsewhere it cannot be told which picture a row is."""
    bench = small(kind)
    noise = torch.cat([bench.noise, bench.noise.flip(-1)])
    source, negative = joined(bench.prompts[0], bench.prompts[2]), [[0.9 * text, extra] for text, extra in bench.prompts[2]]
    edit = bench.edit(joined(bench.prompts[1], bench.prompts[3]), method=method)
    if send is as_comfyui_sends_them or (kind == "sd3" and method == OWN_RUN):
        wanted = torch.cat([
            bench.draw(bench.edit(bench.prompts[target], method=method), bench.prompts[own], negative, noise[[n]])
            for n, (own, target) in enumerate(((0, 1), (2, 3)))
        ])  # fmt: skip
        assert_same(bench.draw(sent(edit, send), source, negative, noise), wanted, bench.draw(None, source, negative, noise))
    else:
        with pytest.raises(RuntimeError, match="different pictures"):
            bench.draw(sent(edit, send), source, negative, noise)


def entry(bench, conditioning, half=None):
    """An entry for a half of the picture, told its size, which is then the same for a half that is drawn alone."""
    text, extra = conditioning[0]
    extra = {**extra, "width": 128, "height": 128}
    if half is not None:
        h, w = bench.noise.shape[-2:]
        area = (h, w // 2, 0, w // 2 * HALVES.index(half))
        extra |= {"area": area, "strength": 1.0, "set_area_to_bounds": False}
    return [text, extra]


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_each_entry_takes_its_own_target(kind, method):
    """A picture of two halves, each with a prompt and a target of its own, is two pictures side by side. Targets bring their text alone."""
    bench = small(kind)
    sources, targets = (bench.prompts[0], bench.prompts[2]), (bench.prompts[1], bench.prompts[3])
    source = [entry(bench, prompt, half) for prompt, half in zip(sources, HALVES, strict=True)]
    found = bench.draw(bench.edit(targets[0] + targets[1], method=method), source, cfg=1.0)
    wanted, plain = [], []
    for noise, prompt, target in zip(bench.noise.chunk(2, -1), sources, targets, strict=True):
        alone = [entry(bench, prompt)]
        wanted.append(bench.draw(bench.edit(target, method=method), alone, cfg=1.0, noise=noise))
        plain.append(bench.draw(positive=alone, cfg=1.0, noise=noise))
    for half, one, without in zip(found.chunk(2, -1), wanted, plain, strict=True):
        assert_same(half, one, without)


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_entries_with_the_same_text_encoded_again_change_nothing(kind, method):
    bench = small(kind)
    source = [entry(bench, bench.prompts[n], half) for n, half in zip((0, 1), HALVES, strict=True)]
    targets = again(bench.prompts[0]) + again(bench.prompts[1])
    assert torch.equal(bench.draw(bench.edit(targets, method=method), source), bench.draw(positive=source))


def nearly(conditioning):
    """A text that is another one, and hardly another."""
    return [[text + 1e-6, extra] for text, extra in conditioning]


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), LONG)
def test_entries_of_one_text_go_by_comfyuis_order(kind, method):
    bench = small(kind)
    source = bench.prompts[0]
    found, wanted = (
        [entry(bench, source, "left"), entry(bench, second, "right")] for second in (again(source), nearly(source))
    )  # fmt: skip
    edit = bench.edit(bench.prompts[1] + bench.prompts[3], method=method)
    assert_same(bench.draw(edit, found), bench.draw(edit, wanted), bench.draw(positive=wanted))


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), LONG)
def test_one_text_on_both_sides_goes_by_comfyuis_order(kind, method):
    """Prompt and negative prompt are the same, the target's are not."""
    bench = small(kind)
    source, edit = bench.prompts[0], bench.edit(negative=bench.prompts[3], method=method)
    wanted = bench.draw(edit, negative=nearly(source))
    assert_same(bench.draw(edit, negative=again(source)), wanted, bench.draw(negative=nearly(source)))


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_target_of_the_negative_prompt(kind, method):
    """Guidance of 0 draws the negative prompt alone: as the same two texts do where the prompt stands."""
    bench = small(kind)
    _, _, negative, target = bench.prompts
    found = bench.draw(bench.edit(again(bench.prompts[0]), negative=target, method=method), cfg=0.0)
    wanted = bench.draw(bench.edit(target, method=method), negative, cfg=1.0)
    assert_same(found, wanted, bench.draw(positive=negative, cfg=1.0))


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_one_text_on_both_sides_in_tiles_is_refused(kind, method):
    bench = small(kind)
    edit = bench.edit(negative=bench.prompts[3], method=method)
    with pytest.raises(RuntimeError, match=REFUSED):
        bench.draw(sent(edit, tiles_in_one_batch), negative=again(bench.prompts[0]))


def test_what_an_entry_gives_is_looked_for_in_each_row():
    """Where it gives nothing that rows could differ in, no row is its own."""
    text = comfy.conds.CONDCrossAttn(torch.arange(6.0).reshape(1, 3, 2))
    pooled, constant = comfy.conds.CONDRegular(torch.ones(1, 4)), comfy.conds.CONDConstant(3.5)
    given = {
        "c_crossattn": torch.stack([text.cond[0].repeat(2, 1), torch.zeros(6, 2), text.cond[0].repeat(2, 1)]),  # twice as many tokens
        "y": torch.stack([torch.ones(4), torch.ones(4), torch.zeros(4)]),
        "guidance": 3.5,
    }
    whole = Entry("positive", 0, None, {"c_crossattn": text, "y": pooled, "guidance": constant})
    assert [whole.in_row(given, row) for row in range(4)] == [True, False, False, False]
    assert not Entry("positive", 0, None, {"guidance": constant}).in_row(given, 0)


def block_on_some_rows(model, way):
    """Packs for Wan (Skip Layer Guidance, NAG) run a block, from the second step on, on the positive half alone, or half by half, and pass
    over what is raised in it."""
    first = []

    def replacement(args, extra_options):
        level = float(args["transformer_options"]["sigmas"].max())
        first.append(level)
        if level == first[0]:
            return extra_options["original_block"](args)
        halves = [{k: v[row : row + 1] if k in ("img", "txt", "vec") else v for k, v in args.items()} for row in (0, 1)]
        if way == "the positive half":
            return {**args, "img": torch.cat([args["img"][:1], extra_options["original_block"](halves[1])["img"]])}
        with suppress(Exception):
            return {**args, "img": torch.cat([extra_options["original_block"](half)["img"] for half in halves])}
        return args

    patched = model.clone()
    patched.set_model_patch_replace(replacement, "dit", "double_block", 1)
    return patched


@pytest.mark.needs_comfyui("0.30")
@pytest.mark.parametrize("way", ["the positive half", "half by half"])
def test_a_layer_that_another_node_runs_on_some_rows_is_refused(way):
    """Rows that are not there would take nothing, and the picture would be the source's without a word."""
    bench = wan()
    odd = block_on_some_rows(bench.model, way)
    bench.draw(bench.prompt(0), odd, steps=2)
    edit = patch_prompt(block_on_some_rows(bench.model, way), models.written(odd, "1"), bench.encoded(1))
    with pytest.raises(RuntimeError, match="on 1 rows of a call that has 2"):
        bench.draw(bench.prompt(0), edit, steps=2)
    assert "forward" not in vars(bench.model.model.diffusion_model.blocks[1].cross_attn), "nothing is left behind"


@cache
def wan():
    return bench_of(next(tiny for tiny in MODELS if tiny.kind == "WAN21_T2V"))
