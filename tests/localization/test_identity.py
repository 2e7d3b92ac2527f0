"""What decides a search's cells makes another search of it, and nothing else does."""

import functools
import os
import re
import subprocess
import sys
import types
from collections import deque
from dataclasses import replace
from decimal import Decimal

import comfy.model_management
import comfy.samplers
import numpy as np
import pytest
import torch
from text_layers.benchmarks.localization.searches import setting
from text_layers.demo import comfy_model
from text_layers.localization import drawing as mechanism
from text_layers.localization.digest import checksum, digest
from text_layers.localization.drawing import SOURCE, Drawing, Picture
from text_layers.localization.pairs import WordPair
from text_layers.localization.sweep import Sweep
from text_layers.scoring.ocr import engine
from text_layers.scoring.rapid_ocr import RapidOcr

pytestmark = pytest.mark.any_comfyui

PAIRS = [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT")]
KEY = "diffusion_model.joint_blocks.7.x_block.attn.qkv.weight"


@pytest.fixture(scope="module")
def demo():
    return comfy_model.load("mmdit")


def sweep_of(demo, folder, ocr=None, **changes):
    return Sweep(Drawing(*demo, PAIRS, replace(setting(0, 16), **changes)), ocr or engine("RapidOCR"), folder)


def with_lora(demo, value=1e-3, strength=1.0):
    model, *others = demo
    changed = model.clone()
    changed.add_patches({KEY: ("diff", (torch.full_like(model.model.state_dict()[KEY], value),))}, strength)
    return changed, *others


def with_function(demo, number):
    """As another node's patch, which holds a number and a tensor."""
    model, *others = demo
    scale = torch.full((3,), 0.5)

    def patch(q, k, v, extra_options):
        return q * number * scale[0], k, v

    changed = model.clone()
    changed.set_model_attn2_patch(patch)
    return changed, *others


def with_shift(demo, shift):
    model, *others = demo
    changed = model.clone()
    sampling = type(model.get_model_object("model_sampling"))(model.model.model_config)
    sampling.set_parameters(shift=shift)
    changed.add_object_patch("model_sampling", sampling)
    return changed, *others


class Other(RapidOcr):
    """Under the same name."""

    def read(self, picture, enlarge=1):
        return "SOMETHING ELSE"


SCRIPT = """
import sys, torch
from pathlib import Path
from comfy.cli_args import args
args.cpu = not torch.cuda.is_available()
torch.set_num_threads(int(sys.argv[2]))
sys.path.insert(0, sys.argv[3])
import test_identity as own
demo = own.with_function(own.with_shift(own.with_lora(own.comfy_model.load("mmdit")), 2.0), 0.75)
sweep = own.sweep_of(demo, Path(sys.argv[1]))
print(sorted(sweep.parts.items()), [sweep.drawing.fingerprint(sweep.drawing.prompt(n)) for n in range(2)])
close = sweep.closeness([(0,), (1, 2)], range(2))
print(sweep.computed)
"""


def test_another_process_with_other_threads_goes_on(tmp_path):
    """Also with a LoRA, another node's schedule and patch; the order of sets is another in each process, and code is loaded by name."""
    said = []
    for threads in (1, 2):
        given = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), str(threads), os.path.dirname(__file__)]
        environment = {**os.environ, "PYTHONHASHSEED": str(threads), "OMP_NUM_THREADS": str(threads)}
        run = subprocess.run(given, capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.splitlines()[-2:])
    assert said[0][0] == said[1][0] and (said[0][1], said[1][1]) == ("4", "0")


def test_what_was_loaded_and_drawn_with_stays_the_same(demo, tmp_path):
    """A LoRA is then computed into the weights, and a schedule lies on the model."""
    changed = with_shift(with_lora(demo), 2.0)
    before = sweep_of(changed, tmp_path)
    before.drawing.draw([Picture(0, SOURCE, 2)])
    assert sweep_of(changed, tmp_path).parts == before.parts
    assert sweep_of(demo, tmp_path).parts != before.parts
    before.drawing.draw([Picture(0, SOURCE, 2)])
    plain = sweep_of(comfy_model.load("mmdit"), tmp_path).parts
    assert sweep_of(demo, tmp_path).parts == plain, "another clone's LoRA is in the weights at this moment"
    comfy.model_management.unload_all_models()
    assert sweep_of(demo, tmp_path).parts == plain and sweep_of(changed, tmp_path).parts == before.parts


def test_how_many_rows_at_once_and_where_do_not_count(demo, tmp_path):
    assert sweep_of(demo, tmp_path, rows=16).parts == sweep_of(demo, tmp_path, rows=2).parts


def test_a_latent_of_another_model_is_the_same_search_and_the_size_is_what_is_drawn(demo, tmp_path):
    """ComfyUI makes an empty latent fit: other channels, and the same pixels."""
    own = sweep_of(demo, tmp_path)
    (_, height, width), sizes = own.drawing.size, {}
    for latent in ({"samples": torch.zeros(1, 4, height, width)}, {"samples": torch.zeros(3, 12, height, width)}):
        other = sweep_of(demo, tmp_path, latent=latent)
        sizes[other.drawing.size] = other.drawing.draw([Picture(0, SOURCE, 1)])[Picture(0, SOURCE, 1)].shape
        assert other.parts == own.parts
    assert sizes == {own.drawing.size: own.drawing.size}


def changed_bit(part):
    """One bit of one weight of a fresh demo model."""
    loaded = comfy_model.load("mmdit")
    weights = (loaded[0].model.diffusion_model, loaded[1].cond_stage_model)[part].state_dict()
    weight = sorted(weights.items())[len(weights) // 2][1].view(torch.int32).view(-1)
    weight[len(weight) // 3] ^= 1
    return loaded


@pytest.mark.parametrize(
    ("part", "others"),
    [
        ("model", lambda demo: [with_lora(demo), with_lora(demo, 1.001e-3), with_lora(demo, strength=0.5), changed_bit(0)]),
        ("model", lambda demo: [with_function(demo, 0.5), with_function(demo, 0.25)]),
        ("model", lambda demo: [with_shift(demo, 2.0), with_shift(demo, 2.5)]),
        ("text encoder", lambda demo: [changed_bit(1)]),
    ],
    ids=["weights", "patches", "schedule", "text encoder"],
)
def test_another_model_is_another_search(demo, tmp_path, part, others):
    found = [sweep_of(one, tmp_path).parts for one in (demo, *others(demo))]
    assert len({parts[part] for parts in found}) == len(found)
    assert all({key for key in parts if parts[key] != found[0][key]} == {part} for parts in found[1:])


def test_another_text_encoder_setting_and_vae_are_another_search(demo, tmp_path):
    model, clip, vae = demo
    skipping = clip.clone()
    skipping.clip_layer(-2)
    before = sweep_of(demo, tmp_path).parts
    assert {key for key, value in sweep_of((model, skipping, vae), tmp_path).parts.items() if value != before[key]} == {"text encoder"}
    other = comfy_model.load("mmdit")[2]
    other.first_stage_model.register_buffer("bias", torch.zeros(1))
    assert {key for key, value in sweep_of((model, clip, other), tmp_path).parts.items() if value != before[key]} == {"VAE"}


def test_another_reading_under_the_same_name_is_another_search(demo, tmp_path, monkeypatch):
    first = sweep_of(demo, tmp_path)
    read = first.readings([(0,)], [0], 6)[(0,)][0].read
    other = sweep_of(demo, tmp_path, Other())
    assert other.readings([(0,)], [0], 6)[(0,)][0].read == "SOMETHING ELSE" != read and other.computed == 1
    again = sweep_of(demo, tmp_path)
    assert again.readings([(0,)], [0], 6)[(0,)][0].read == read and again.computed == 0
    ocr = RapidOcr()
    ocr.read = lambda picture, enlarge=1: "HERE"  # on this one alone
    assert sweep_of(demo, tmp_path, ocr).readings([(0,)], [0], 6)[(0,)][0].read == "HERE"
    monkeypatch.setattr(RapidOcr, "sure", 0.9)
    assert sweep_of(demo, tmp_path).parts["OCR"] != first.parts["OCR"]
    monkeypatch.undo()
    monkeypatch.setattr(RapidOcr, "version", "rapidocr 0.0.1")
    assert sweep_of(demo, tmp_path).parts["OCR"] != first.parts["OCR"]


def test_a_swap_that_does_nothing_is_another_search(demo, tmp_path, monkeypatch):
    first = sweep_of(demo, tmp_path)
    assert first.closeness([(0, 1, 2)], [0])[(0, 1, 2)][0] > 0.9
    monkeypatch.setattr(mechanism, "swap_rows", lambda model, rows: model)
    other = sweep_of(demo, tmp_path)
    assert other.closeness([(0, 1, 2)], [0])[(0, 1, 2)][0] < 0.5 and other.computed == 1
    assert {part for part in first.parts if first.parts[part] != other.parts[part]} == {"version"}
    monkeypatch.undo()
    assert sweep_of(demo, tmp_path).parts == first.parts


@pytest.mark.parametrize("module", ["attention", "hook", "target", "gradient", "comfy", "store"])
def test_each_part_of_the_mechanism_counts(demo, tmp_path, monkeypatch, module):
    import importlib

    before = sweep_of(demo, tmp_path).parts["version"]
    loaded = importlib.import_module(f"text_layers.patching.{module}")
    name = next(name for name, value in sorted(vars(loaded).items()) if getattr(value, "__module__", "") == loaded.__name__)
    monkeypatch.setattr(loaded, name, lambda *_: None)
    assert sweep_of(demo, tmp_path).parts["version"] != before


def test_checksums_see_each_bit_and_its_place():
    rng = np.random.default_rng(0)
    numbers = torch.from_numpy(rng.integers(0, 256, 1001).astype(np.uint8))
    found = {checksum(numbers)}
    for place in range(0, 1001, 7):
        changed = numbers.clone()
        changed[place] ^= 1 << (place % 8)
        found.add(checksum(changed))
    swapped = numbers.clone()
    swapped[:8], swapped[8:16] = numbers[8:16], numbers[:8]
    found.add(checksum(swapped))
    assert len(found) == 2 + len(range(0, 1001, 7))
    wide = torch.from_numpy(rng.standard_normal((300, 40)))
    assert checksum(wide.T.contiguous().T) == checksum(wide) != checksum(wide.T)
    assert checksum(wide[1:]) == checksum(wide[1:].clone()), "a view into other numbers"


def test_digests_are_of_what_a_value_holds():
    class Held:
        def __init__(self, value):
            self.value, self.own = value, self  # a circle

    assert digest(Held(1)) == digest(Held(1)) != digest(Held(2))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})
    assert digest([1, [2]]) != digest([[1], 2]) and digest("1") != digest(1) and digest(["ab"]) != digest(["a", "b"])
    assert digest(lambda x: x + 1) == digest(lambda x: x + 1) != digest(lambda x: x + 2)
    assert digest(lambda: "A") != digest(lambda: "B")
    assert digest(torch.ones(2)) != digest(torch.ones(2, dtype=torch.float64)) and digest(torch.ones(2)) != digest(torch.ones(2, 1))


def of_the_same_kind():
    """{what: (a value, the same again, another)}"""

    def closed(number):
        return lambda x: x in number

    def wrapped(strength):
        @functools.wraps(closed)
        def around(*given):
            return closed(*given) * strength

        return around

    def reading(strength):
        read = lambda x: x * STRENGTH  # noqa: E731, F821
        return types.FunctionType(read.__code__, {"STRENGTH": strength})

    class Slots:
        __slots__ = "strength"

        def __init__(self, strength):
            self.strength = strength

    class Below(Slots):
        """Has a dictionary beside."""

        def __init__(self, strength):
            super().__init__(strength)
            self.name = "the same"

    class Many(list):
        def __init__(self, strength):
            super().__init__([1, 2])
            self.strength = strength

    class Scaled(torch.nn.Module):
        def __init__(self, strength):
            super().__init__()
            self.strength = strength

        def forward(self, x):
            return x * self.strength

    class Shifted(Scaled):
        def forward(self, x):
            return x + self.strength

    def both(make, a, b):
        return make(a), make(a), make(b)

    return {
        "a range in a closure": both(closed, range(3, 5), range(3, 6)),
        "a slice": both(lambda end: [slice(0, end)], 1, 2),
        "a deque": both(deque, [1], [2]),
        "a pattern": both(re.compile, "a", "b"),
        "bytes that change": both(bytearray, b"a", b"b"),
        "a decimal number": both(Decimal, "0.5", "0.6"),
        "a wrapper's number": both(wrapped, 0.5, 1.0),
        "a slot": both(Slots, 1, 2),
        "a slot beside a dictionary": both(Below, 1, 2),
        "a list's attribute": both(Many, 1, 2),
        "a module's number": both(Scaled, 0.5, 1.0),
        "a module's picture": both(Scaled, torch.zeros(2), torch.ones(2)),
        "a module's table": both(lambda strength: Scaled({"multiplier": strength}), 0.5, 1.0),
        "a module's function": both(lambda number: Scaled(closed(number)), [1], [2]),
        "a constant that a function reads": both(reading, 0.5, 1.0),
        "a module in a module": both(lambda strength: torch.nn.Sequential(Scaled(strength)).forward, 0.5, 1.0),
        "the code of a module in a module": both(lambda kind: torch.nn.Sequential(kind(0.5)), Scaled, Shifted),
        "a compiled method's owner": both(lambda numbers: numbers.count, [1], [2]),
        "a compiled function": both(lambda ufunc: ufunc, np.add, np.multiply),
        "a partial method": both(lambda number: functools.partialmethod(closed, number), 1, 2),
        "numbers that are turned when they are read": both(lambda number: torch.tensor([number]).conj(), 1 + 1j, 1 + 2j),
    }


@pytest.mark.parametrize("what", of_the_same_kind())
def test_digests_see_what_a_value_hides(what):
    one, again, other = map(digest, of_the_same_kind()[what])
    assert one == again != other


@pytest.mark.parametrize("put_in", ["forward", "another method", "a partial", "a hook"])
def test_what_lies_in_or_around_a_module_is_another_search(tmp_path, put_in):
    demo = comfy_model.load("mmdit")
    block = demo[0].model.diffusion_model.joint_blocks[3].x_block
    before, found = sweep_of(demo, tmp_path).parts, []
    forward, pre_attention = type(block).forward, type(block).pre_attention
    for number in (0.5, 1.5):
        if put_in == "forward":
            block.forward = lambda *given, number=number: forward(block, *given) * number
        elif put_in == "a partial":
            block.pre_attention = functools.partial(pre_attention, block, number)
        elif put_in == "another method":
            block.pre_attention = lambda *given, number=number: pre_attention(block, *given) * number
        else:
            handle = block.register_forward_pre_hook(lambda module, given, number=number: given * number)
        found.append(sweep_of(demo, tmp_path).parts)
        if put_in == "a hook":
            handle.remove()
    assert len({parts["model"] for parts in (before, *found)}) == 3
    vars(block).pop("forward", None), vars(block).pop("pre_attention", None)
    assert sweep_of(demo, tmp_path).parts == before
