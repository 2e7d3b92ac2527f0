"""Whether layers hold in a model: on models whose text layers are known, and how often the rule is wrong."""

from itertools import pairwise, product
from math import factorial

import comfy.model_management
import pytest
import torch
from text_layers.benchmarks.localization.searches import TEMPLATE, setting
from text_layers.demo import comfy_model
from text_layers.localization import drawing as drawing_module
from text_layers.localization.check import CALLS, ERROR, HOLD, MISSING, MOST_PAIRS, NOT, PAIRS, PARTLY, UNTOLD, Word, check, decide, report
from text_layers.localization.drawing import Drawing
from text_layers.localization.pairs import DEFAULT, parse_pairs
from text_layers.localization.sweep import Sweep
from text_layers.nodes.check_layers import CheckTextLayers
from text_layers.patching import models
from text_layers.scoring.ocr import engine
from text_layers.testing.unpadded import Unpadded

pytestmark = pytest.mark.any_comfyui

KNOWN = {"unet": (4, 5, 7), "mmdit": (0, 1, 2)}
EMPTY = {"samples": torch.zeros(1, 12, 16, 32)}


def sweep_of(loaded, steps=10, count=2 * PAIRS, seed=7, **changes):
    pairs = parse_pairs(DEFAULT)[:count]
    given = {**vars(setting(seed, 6)), "steps": steps, **changes}
    return Sweep(Drawing(*loaded, pairs, type(setting(0, 6))(**given)), engine("RapidOCR"), None)


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_layers_hold_and_others_do_not(name):
    """And what is counted is what goes through the model."""
    loaded = comfy_model.load(name)
    rows = []
    handle = loaded[0].model.diffusion_model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(args[0])), with_kwargs=True
    )
    told = []
    sweep = sweep_of(loaded)
    sweep.tell = told.append
    found = check(sweep, KNOWN[name])
    handle.remove()
    assert found.verdict == HOLD and found.calls == sum(rows) <= CALLS
    assert len(found.layers) == PAIRS and min(found.layers) >= 1 - MISSING and max(found.others + found.drawn) < min(found.layers)
    assert found.words[0].exact and found.words[0].edited
    assert [a.done <= b.done for a, b in pairwise(told)].count(False) == 0 and told[-1].done == found.calls
    lines = report(found, KNOWN[name], len(sweep.layers), "RapidOCR")
    assert f"{HOLD} in this model" in lines and f"({PAIRS} of {PAIRS} words" in lines and f"{found.calls} calls" in lines
    others = tuple(layer for layer in sweep.layers if layer not in KNOWN[name])
    wrong = check(sweep_of(loaded), others)
    assert wrong.verdict == NOT and wrong.calls <= CALLS and "do not hold" in report(wrong, others, len(sweep.layers), "RapidOCR")


def test_layers_moved_by_one_do_not_hold():
    assert check(sweep_of(comfy_model.load("mmdit")), (1, 2, 3)).verdict == NOT


def test_of_a_model_that_draws_no_words_nothing_can_be_told():
    loaded = comfy_model.load("unet")
    with torch.no_grad():
        for weight in loaded[0].model.diffusion_model.out.parameters():
            weight.zero_()
    found = check(sweep_of(loaded), KNOWN["unet"])
    assert found.verdict == UNTOLD and found.calls <= CALLS and not found.layers
    assert len(found.words) > 2, "what first predictions would take is spent on further words"
    assert f"none of {len(found.words)} is read" in report(found, KNOWN["unet"], 9, "RapidOCR")


def test_what_cannot_be_checked_is_said_before_a_call():
    loaded = comfy_model.load("mmdit")
    sweep = sweep_of(loaded)
    with pytest.raises(ValueError, match="all text layers"):
        check(sweep, sweep.layers)
    with pytest.raises(ValueError, match="5 word pairs are too few"):
        check(sweep_of(loaded, count=5), (0,))
    assert sweep.drawing.model_calls == 0
    long = sweep_of(loaded, steps=40)
    with pytest.raises(ValueError, match=r"take 36, .* take 80\. Take at most 12 steps, or 116 calls"):
        check(long, (0,))
    assert long.drawing.model_calls == 0
    for enough in (sweep_of(loaded, steps=12), long):
        calls = CALLS if enough is not long else 116
        assert check(enough, KNOWN["mmdit"], calls).calls <= calls


@pytest.mark.parametrize(
    ("why", "name"),
    [
        ("few rows fit", "unet"),
        pytest.param("one row fits", "mmdit", marks=pytest.mark.long),
        ("prompts of other length", "unet"),
        pytest.param("prompts of other length", "mmdit", marks=pytest.mark.long),
    ],
)
def test_no_more_calls_than_allowed(name, why, monkeypatch):
    """Where a target's own run is a row, each batch draws it again, and one of other length is a batch of its own."""
    model, clip, vae = comfy_model.load(name)
    fit = {"few rows fit": 3, "one row fits": 1}.get(why, 6)
    monkeypatch.setattr(drawing_module, "rows_that_fit", lambda *given: fit)
    clip = Unpadded(clip) if why == "prompts of other length" else clip
    for calls in (90, 130):
        sweep = sweep_of((model, clip, vae))
        found = check(sweep, KNOWN[name], calls)
        assert found.verdict == HOLD and found.calls <= calls
    with pytest.raises(ValueError, match="are too few: first predictions take"):
        check(sweep_of((model, clip, vae)), KNOWN[name], 40)


def test_an_interruption_ends_it():
    sweep = sweep_of(comfy_model.load("unet"))
    sweep.tell = lambda progress: comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        check(sweep, KNOWN["unet"])


def test_the_node_gives_the_layers_on_and_refuses_heads():
    model, clip, vae = comfy_model.load("unet")
    usual = {"model": model, "clip": clip, "vae": vae, "latent_image": EMPTY, "template": TEMPLATE, "word_pairs": DEFAULT,
             "ocr": "RapidOCR", "seed": 3, "steps": 10, "cfg": 3.0, "scheduler": "simple", "calls": 60, "negative": ""}  # fmt: skip
    chosen = models.preset(model)
    given, text = CheckTextLayers.execute(text_layers=chosen, **usual).args
    assert given is chosen and text.startswith("Text layers 4, 5, 7 of 9 hold in this model")
    first = parse_pairs(DEFAULT)[-1].target
    assert f"\n{first}, half-way" in text, "from the bottom of the list"
    with pytest.raises(ValueError, match="some heads only"):
        CheckTextLayers.execute(text_layers=models.written(model, "4:0+1, 5"), **usual)
    with pytest.raises(ValueError, match="another architecture"):
        CheckTextLayers.execute(text_layers=models.preset(comfy_model.load("mmdit")[0]), **usual)


READ, MISSED = Word("HOTEL", True, True, ("HOTEL", "HOTEL")), Word("HOTEL", True, False, ("HOTEL", "CAFE"))


def decided(wholly, carried, pairs, words=(READ,)):
    """The verdict on so many words that are carried wholly, so many carried, and the rest not."""
    ours = [1 - MISSING / 2] * wholly + [0.8] * (carried - wholly) + [0.3] * (pairs - carried)
    return decide(tuple(ours), (0.2,) * pairs, (0.1,) * pairs, words)[0]


@pytest.mark.parametrize("pairs", [PAIRS, 9, 12, MOST_PAIRS])
def test_a_verdict_is_wrong_in_five_of_a_hundred_checks_at_most(pairs):
    """Exactly, for every share of words that are carried and carried wholly, with pictures that tell nothing."""
    verdicts = {(w, c): decided(w, c, pairs, words) for c in range(pairs + 1) for w in range(c + 1) for words in [(READ,)]}
    unread = {(w, c): decided(w, c, pairs, (MISSED,)) for c in range(pairs + 1) for w in range(c + 1)}
    worst = 0.0
    shares = [n / 20 for n in range(21)]
    for carried, wholly in product(shares, shares):
        if wholly > carried:
            continue
        untrue = {HOLD: wholly <= 0.5, PARTLY: carried <= 0.5, NOT: carried >= 0.5, UNTOLD: False}
        parts = (wholly, carried - wholly, 1 - carried)
        for told in (verdicts, unread):
            wrong = 0.0
            for (w, c), verdict in told.items():
                if untrue[verdict]:
                    counts = (w, c - w, pairs - c)
                    ways = factorial(pairs) // (factorial(counts[0]) * factorial(counts[1]) * factorial(counts[2]))
                    wrong += ways * parts[0] ** counts[0] * parts[1] ** counts[1] * parts[2] ** counts[2]
            worst = max(worst, wrong)
    assert 0 < worst <= ERROR


def test_what_decides():
    assert decided(6, 6, 6) == HOLD and decided(0, 6, 6) == PARTLY and decided(5, 5, 6) == UNTOLD
    assert decided(6, 6, 6, (READ, MISSED)) == PARTLY, "a word that the layers do not draw"
    assert decided(6, 6, 6, (Word("HOTEL", False, False, ("", "")),)) == PARTLY, "no word tells"
    assert decided(0, 0, 6, (MISSED,)) == NOT and decide((0.9,) * 6, (0.95,) * 6, (0.1,) * 6, (MISSED,))[0] == NOT, "others do more"
    assert decided(0, 0, 6) == UNTOLD
    for count in range(PAIRS):
        verdict, why = decide((1.0,) * count, (0.0,) * count, (0.0,) * count, (READ,))
        assert verdict == UNTOLD and f"for {count} of the words only" in why
    verdict, why = decide((0.9,) * 6, (0.1,) * 6, (0.95,) * 6, (READ,))
    assert verdict == UNTOLD and "other layers" in why, "the pictures say otherwise"
