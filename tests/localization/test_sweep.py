"""One sweep on the demo models: right pictures, each drawn once, kept cells, changed settings, memory, interruption, errors."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import comfy.model_management
import numpy as np
import pytest
import torch
from text_layers.benchmarks.localization.searches import TEMPLATE, setting
from text_layers.demo import comfy_model, pictures
from text_layers.localization.cells import CellStore
from text_layers.localization.drawing import SOURCE, TARGET, Drawing, Picture
from text_layers.localization.estimate import expected
from text_layers.localization.localize import QUICK, chart, contact_sheet, localize, report
from text_layers.localization.pairs import DEFAULT, WordPair, parse_pairs
from text_layers.localization.strategies import STRATEGIES
from text_layers.localization.sweep import Sweep
from text_layers.patching import models
from text_layers.patching.patch import patch_prompt
from text_layers.scoring.ocr import engine
from text_layers.testing.unpadded import Unpadded

PAIRS = [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT"), WordPair("NORTH", "SOUTH")]
KNOWN = {"unet": (4, 5, 7), "mmdit": (0, 1, 2)}


@pytest.fixture(scope="module", params=["unet", "mmdit"])
def demo(request):
    return request.param, comfy_model.load(request.param)


def sweep_of(demo, folder, pairs=PAIRS, ocr="RapidOCR", **changes):
    return Sweep(Drawing(*demo[1], pairs, replace(setting(0, 16), **changes)), engine(ocr), folder)


def test_rows_are_the_pictures_of_patch_prompt(demo):
    name, (model, clip, vae) = demo
    drawing = Drawing(model, clip, vae, PAIRS, replace(setting(5, 16), steps=4))
    wanted = [Picture(pair, layers, 4) for pair in (0, 2) for layers in (SOURCE, TARGET, (0,), KNOWN[name])]
    drawn = drawing.draw(wanted)
    rows = drawing.cost(wanted)
    assert rows == 8 and drawing.model_calls == rows * 4 * 2
    for picture in wanted:
        pair = PAIRS[picture.pair]
        source, target = (pictures.encode(clip, [TEMPLATE.replace("{word}", word)]) for word in (pair.source, pair.target))
        patched = model
        if picture.layers not in (SOURCE, TARGET):
            patched = patch_prompt(model, models.written(model, " ".join(map(str, picture.layers))), target)
        alone = pictures.sample(patched, clip, vae, target if picture.layers == TARGET else source, 5 + picture.pair, 1, steps=4)[0]
        # 8 of 255: a batch is another order of float operations, which the steps enlarge.
        assert np.abs(drawing.decode(drawn[picture][None])[0].astype(int) - alone).max() <= 8


def test_seeds_go_round_where_torch_has_no_more(demo):
    """The largest seed of the node, and the next pair's."""
    last, first = (Drawing(*demo[1], PAIRS, setting(seed, 16)) for seed in (2**64 - 1, 0))
    assert last.noise(1).equal(first.noise(0)) and not last.noise(0).equal(last.noise(1))


@pytest.mark.any_comfyui
def test_words_of_other_length_share_what_they_can(demo):
    """Prompts of different length: batches of equal ones, and the target's text apart where it cannot share a batch."""
    name, (model, clip, vae) = demo
    drawing = Drawing(model, Unpadded(clip), vae, PAIRS, replace(setting(5, 16), steps=4))
    assert len({drawing.conditioning(drawing.prompt(0, target))[0].shape for target in (False, True)}) == 2
    wanted = [Picture(pair, layers, 4) for pair in (0, 2) for layers in (SOURCE, TARGET, (0,), KNOWN[name])]
    drawn = drawing.draw(wanted)
    for picture in wanted:
        source, target = ([list(drawing.conditioning(drawing.prompt(picture.pair, t)))] for t in (False, True))
        patched = model
        if picture.layers not in (SOURCE, TARGET):
            patched = patch_prompt(model, models.written(model, " ".join(map(str, picture.layers))), target)
        alone = pictures.sample(patched, clip, vae, target if picture.layers == TARGET else source, 5 + picture.pair, 1, steps=4)[0]
        assert np.abs(drawing.decode(drawn[picture][None])[0].astype(int) - alone).max() <= 8  # as above


@pytest.mark.any_comfyui
@pytest.mark.parametrize("demo", ["mmdit"], indirect=True)
def test_a_second_sweep_draws_nothing_again(demo, tmp_path):
    asked = [(0,), (1, 2), KNOWN[demo[0]]]
    first = sweep_of(demo, tmp_path)
    close, read = first.closeness(asked, range(3)), first.readings([*asked, TARGET], range(3))
    again = sweep_of(demo, tmp_path)
    calls = again.drawing.model_calls
    assert again.closeness(asked, range(3)) == close and again.readings([*asked, TARGET], range(3)) == read
    assert again.drawing.model_calls == calls and again.computed == 0
    assert all(r.exact and r.similarity == 1 for r in read[TARGET])
    again.closeness([(3,)], range(3))  # source and all layers are on disk; only the new rows are drawn
    assert again.drawing.model_calls - calls == 3 * (2 if demo[0] == "mmdit" else 1)


@pytest.mark.any_comfyui
@pytest.mark.parametrize("demo", ["mmdit"], indirect=True)
@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"steps": 11}, {"cfg": 3.5}, {"sampler": "heun"}, {"scheduler": "normal"},
                {"template": 'a red sign that says "{word}"'}, {"negative": "a blue sign"}]
)  # fmt: skip
def test_another_setting_reads_no_stale_cell(demo, tmp_path, changes):
    """After two steps: the first prediction is without guidance, so that the negative prompt does not count."""
    first = sweep_of(demo, tmp_path)
    first.closeness([(0,)], [0], steps=2)
    other = sweep_of(demo, tmp_path, **changes)
    other.closeness([(0,)], [0], steps=2)
    assert other.computed == 1


@pytest.mark.any_comfyui
@pytest.mark.parametrize("demo", ["mmdit"], indirect=True)
def test_other_weights_other_words_and_another_engine_read_no_stale_cell(demo, tmp_path):
    first = sweep_of(demo, tmp_path)
    first.readings([(0,)], [0], 6)
    name, (model, clip, vae) = demo
    changed = model.clone()
    key = "diffusion_model." + models.layer_names(model)[-1] + (".to_v.weight" if name == "unet" else ".x_block.attn.qkv.weight")
    weight = model.model.state_dict()[key]
    changed.add_patches({key: ("diff", (torch.full_like(weight, 1e-3),))})
    with_lora = sweep_of((name, (changed, clip, vae)), tmp_path)
    with_words = sweep_of(demo, tmp_path, [WordPair("CAFE", "HOUSE"), *PAIRS[1:]])
    with_engine = sweep_of(demo, tmp_path, ocr="EasyOCR")
    for other in (with_lora, with_words, with_engine):
        other.readings([(0,)], [0], 6)
        assert other.computed == 1


@pytest.mark.any_comfyui
@pytest.mark.parametrize("demo", ["mmdit"], indirect=True)
def test_too_large_a_batch_is_halved(demo, tmp_path, monkeypatch):
    """The device refuses more than five pictures at once, as it does when its memory is full."""
    wanted = sweep_of(demo, tmp_path / "a").closeness([(layer,) for layer in range(8)], range(2))
    small = sweep_of(demo, tmp_path / "b")
    apply_model = demo[1][0].model._apply_model

    def refuse(x, *args, **kwargs):
        if len(x) > 5:  # first predictions have no negative prompt beside them
            raise torch.OutOfMemoryError("no memory")
        return apply_model(x, *args, **kwargs)

    monkeypatch.setattr(comfy.model_management, "OOM_EXCEPTION", torch.OutOfMemoryError)
    monkeypatch.setattr(demo[1][0].model, "_apply_model", refuse)
    found = small.closeness([(layer,) for layer in range(8)], range(2))
    assert small.drawing.rows <= 5
    for layers in wanted:
        assert found[layers] == pytest.approx(wanted[layers], abs=1e-3)


@pytest.mark.any_comfyui
def test_a_device_that_takes_one_row_alone(demo, tmp_path, monkeypatch):
    """The target's run, which is a row as well in joint attention, is then by itself."""
    asked = [(0,), KNOWN[demo[0]]]
    wanted = sweep_of(demo, tmp_path / "a").closeness(asked, range(2))
    small = sweep_of(demo, tmp_path / "b", rows=2, cfg=1.0)
    calls = small.drawing.model_calls
    apply_model = demo[1][0].model._apply_model

    def refuse(x, *args, **kwargs):
        if len(x) > 1:
            raise torch.OutOfMemoryError("no memory")
        return apply_model(x, *args, **kwargs)

    monkeypatch.setattr(comfy.model_management, "OOM_EXCEPTION", torch.OutOfMemoryError)
    monkeypatch.setattr(demo[1][0].model, "_apply_model", refuse)
    found = small.closeness(asked, range(2))
    assert small.drawing.rows == 1 and small.drawing.model_calls > calls
    for layers in wanted:
        assert found[layers] == pytest.approx(wanted[layers], abs=1e-3)


def test_interruption_stops_within_one_call_and_keeps_the_cells(demo, tmp_path):
    sweep = sweep_of(demo, tmp_path, rows=4)
    calls = []

    def interrupt(progress):
        calls.append(progress.done)
        if sweep.computed >= 3:
            comfy.model_management.interrupt_current_processing()

    sweep.tell = interrupt
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sweep.closeness([(layer,) for layer in range(8)], range(3))
    assert calls[-1] - calls[-2] <= 8  # one call of four pictures with both halves
    again = sweep_of(demo, tmp_path)
    again.closeness([(layer,) for layer in range(8)], range(3))
    assert again.computed == 24 - sweep.computed


@pytest.mark.any_comfyui
def test_a_pair_that_is_not_needed_is_not_encoded(demo, tmp_path):
    """There may be a million of them."""
    sweep = sweep_of(demo, tmp_path, steps=2)
    sweep.readings([(0,)], [0], sweep.half)
    assert sweep.was_read(0, (0,)) and not sweep.was_read(0, (1,)) and not sweep.was_read(1, (0,))
    assert [sweep.drawing.is_asked(pair) for pair in range(3)] == [True, False, False]


@pytest.mark.long
@pytest.mark.any_comfyui
@pytest.mark.parametrize("demo", ["unet"], indirect=True)  # the server's test searches the MMDiT
def test_the_node_s_answer_on_the_demo_models(demo, tmp_path):
    """With a few of the pairs that ship."""
    model = demo[1][0]
    sweep = Sweep(Drawing(*demo[1], parse_pairs(DEFAULT)[:24], setting(0, 16)), engine("RapidOCR"), tmp_path)
    sweep.time_a_call()
    started = sweep.drawing.model_calls
    sweep.time_a_call()
    assert started == sweep.drawing.model_calls, "the picture is kept"
    found = localize(model, sweep, "gradients")
    contact_sheet(found, sweep)
    calls = sweep.drawing.model_calls - started
    assert 0.7 * calls <= expected(sweep.drawing, "gradients", QUICK) <= 1.3 * calls, "what was said before"
    assert 0 < sweep.pace < 60
    assert "not tested" in found.text_layers.doubt and found.text_layers.doubt in found.text_layers.to_json()
    assert found.selection.layers[:2] == KNOWN[demo[0]][:2]
    assert models.check(model, found.text_layers).names == tuple(found.names[layer] for layer in found.selection.layers)
    lines = report(found, sweep)
    assert f"{len(found.selection.layers)} of {len(found.names)} text layers" in lines and "model calls" in lines
    assert chart(found).shape[2] == 3 and contact_sheet(found, sweep).shape[2] == 3


@pytest.mark.any_comfyui
@torch.inference_mode()  # as nodes run
def test_slopes_add_up_to_the_effect_and_are_kept(demo, tmp_path):
    """An integral over the way, by thirteen points: what is left is the quadrature's error. The model draws the same afterwards."""
    sweep = sweep_of(demo, tmp_path)
    before = sweep.drawing.draw([Picture(1, KNOWN[demo[0]], 3)])
    at = tuple(np.linspace(0, 1, 13).tolist())
    slopes = sweep.slopes((), at, range(2))
    attributed = (slopes[:, 1:] + slopes[:, :-1]).sum(1) / 24
    assert attributed.sum(1) == pytest.approx(1, abs=0.1)
    assert set(np.argsort(-attributed.mean(0))[:2]) & set(KNOWN[demo[0]][:2])
    after = sweep.drawing.draw([Picture(1, KNOWN[demo[0]], 3)])
    assert all(latent.equal(after[picture]) for picture, latent in before.items())
    calls = sweep.drawing.model_calls
    assert (sweep.slopes((), at, range(2)) == slopes).all() and sweep.drawing.model_calls == calls
    again = sweep_of(demo, tmp_path)
    calls = again.drawing.model_calls
    assert (again.slopes((), at, range(2)) == slopes).all() and again.drawing.model_calls == calls


@pytest.mark.any_comfyui
def test_an_interrupted_slope_leaves_nothing_behind(demo, tmp_path):
    sweep = sweep_of(demo, tmp_path)
    before = sweep.drawing.draw([Picture(1, SOURCE, 3)])
    sweep.tell = lambda progress: comfy.model_management.interrupt_current_processing() if sweep.computed else None
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sweep.slopes((), (0.5,), range(3))
    assert sweep.computed == 1
    sweep.tell = lambda progress: None
    after = sweep.drawing.draw([Picture(1, SOURCE, 3)])
    assert all(latent.equal(after[picture]) for picture, latent in before.items())
    sweep.slopes((), (0.5,), range(3))
    assert sweep.computed == 3


@pytest.mark.any_comfyui
@pytest.mark.parametrize("demo", ["mmdit"], indirect=True)
def test_a_block_without_a_backward_pass_is_noticed(demo, tmp_path, monkeypatch):
    """Its own branch gives no gradient, and what goes around it does: autograd says nothing."""
    mlp = demo[1][0].model.diffusion_model.joint_blocks[1].x_block.mlp
    forward = mlp.forward
    monkeypatch.setattr(mlp, "forward", lambda x: 3 * forward(x).detach() - 2 * forward(x))
    ranking = STRATEGIES["gradients"](sweep_of(demo, tmp_path))
    assert "no backward pass" in ranking.note and "bisection" in ranking.note and len(ranking.order) == 8


# Forks for every search: what takes time, loading ComfyUI and the model, is done once.
SEARCH = """
import json, os, sys
from pathlib import Path
import torch
from comfy.cli_args import args
args.cpu = not torch.cuda.is_available()
from text_layers.benchmarks.localization.searches import setting
from text_layers.demo import comfy_model
from text_layers.localization.cells import CellStore
from text_layers.localization.drawing import Drawing
from text_layers.localization.pairs import WordPair
from text_layers.localization.strategies import STRATEGIES
from text_layers.localization.sweep import Sweep
from text_layers.scoring.ocr import engine
pairs = [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT"), WordPair("NORTH", "SOUTH")]
candidates = [(a, b) for a in range(8) for b in range(a)]
model, ocr = comfy_model.load("mmdit"), engine("RapidOCR")
print("loaded", flush=True)

def search(folder):
    sweep = Sweep(Drawing(*model, pairs, setting(0, 4)), ocr, Path(folder))
    print("ready", flush=True)
    close = sweep.closeness(candidates, range(3))
    print(json.dumps([sweep.computed, [values for _, values in sorted(close.items())]]), flush=True)

for folder in iter(sys.stdin.readline, ""):
    child = os.fork()
    if child == 0:
        search(folder.strip())
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


@pytest.mark.any_comfyui
def test_kill_9_and_resume(tmp_path):
    """The whole search killed at random moments; what a killed run had kept is not computed again, and the result is the same."""

    command = [sys.executable, "-W", "ignore", "-c", SEARCH]
    # One thread: a forked process does not have the threads of its parent.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def say(folder):
        parent.stdin.write(f"{folder}\n")
        parent.stdin.flush()
        said = [read(), read()]  # in either order
        assert "ready" in said
        return int(next(line for line in said if line != "ready"))

    def read():
        line = parent.stdout.readline().strip()
        assert line, "the search stopped by itself"
        return line

    def run(folder):
        say(folder)
        result = json.loads(read())
        assert read() == "ended"
        return result

    assert read() == "loaded"
    computed, values = run(tmp_path / "whole")
    rng, kills = random.Random(0), 0
    for _ in range(10):
        child = say(tmp_path / "killed")
        time.sleep(rng.uniform(0.05, 0.6))
        with suppress(ProcessLookupError):  # a fast machine has finished by then
            os.kill(child, signal.SIGKILL)
        if read() != "ended":
            assert read() == "ended"
            break
        kills += 1
    assert kills >= 3
    (folder,) = (tmp_path / "killed").iterdir()
    before = len(CellStore(folder))
    computed_again, values_again = run(tmp_path / "killed")
    parent.stdin.close()
    parent.wait(60)
    assert before > 0 and computed == 84 and computed_again == 84 - before
    # Another batch is another order of float operations: 1e-3 of the way.
    assert np.array(values_again) == pytest.approx(np.array(values), abs=1e-3)


def test_errors_say_what_is_wrong(demo, tmp_path):
    model, clip, vae = demo[1]
    with pytest.raises(ValueError, match=r"write \{word\}"):
        Drawing(model, clip, vae, PAIRS, replace(setting(0, 16), template="a sign"))
    other = comfy_model.load(demo[0])[2]
    other.latent_channels = 4
    with pytest.raises(ValueError, match="VAE belongs to another model"):
        Drawing(model, clip, other, PAIRS, setting(0, 16))
    sweep = sweep_of(demo, tmp_path)
    with pytest.raises(ValueError, match="no strategy"):
        localize(model, sweep, "guess")
