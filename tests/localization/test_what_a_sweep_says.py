"""A sweep's figures, and those of a whole search, on drawings whose latents are known numbers: no model is asked."""

import re
from dataclasses import dataclass, field

import comfy.model_management
import numpy as np
import pytest
import torch
from rapidfuzz.distance import Levenshtein
from text_layers.localization.drawing import SOURCE, TARGET, Picture, Setting
from text_layers.localization.localize import QUICK, SURE, WEIGHED, before, localize, report
from text_layers.localization.pairs import WordPair
from text_layers.localization.proof import needed
from text_layers.localization.strategies import STRATEGIES
from text_layers.localization.sweep import Reading, Sweep
from text_layers.patching import models
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

PAIRS = [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT"), WordPair("NORTH", "SOUTH")]
PARTS = (0.1, 0.6, 0.3, 0.0)  # of the way to the target, by layer
STEPS = 6


@dataclass
class Drawn:
    """Latents on a straight way from the pair's source to its target, as far as the layers' parts go. Pictures show how far that is."""

    pairs: list
    parts: tuple = PARTS
    names: tuple = ("a", "b", "c", "d")
    rows: int = 4
    size: tuple = (1, 2, 2)
    equal: tuple = ()  # pairs whose source and target draw the same
    model_calls: int = 0
    batches: list = field(default_factory=list)
    slopes: int = 0

    def __post_init__(self):
        self.setting = Setting("a sign {word}", "", {}, steps=STEPS, rows=self.rows)
        self.everything = tuple(range(len(self.names)))
        self.fits = self.rows

    def prompt(self, pair, target=False):
        return self.setting.template.replace("{word}", self.pairs[pair].target if target else self.pairs[pair].source)

    def fingerprint(self, text):
        return text

    def identity(self):
        return {"pairs": repr(self.pairs), "parts": repr((self.parts, self.names, self.equal))}

    def is_asked(self, pair):
        return True

    def cost(self, pictures):
        return len(set(pictures))

    def calls(self, pictures):
        return self.cost(pictures) * pictures[0].steps

    def share(self, picture):
        whole = picture.layers == TARGET or picture.layers == self.everything
        return 1.0 if whole else sum(self.parts[layer] for layer in picture.layers)

    def draw(self, pictures, tell=lambda: None):
        self.batches.append(list(pictures))
        self.model_calls += self.calls(pictures)
        tell()
        found = {}
        for picture in pictures:
            way = torch.zeros(1, 2, 2) if picture.pair in self.equal else torch.tensor([[[3.0, 0.0], [4.0, 0.0]]])
            found[picture] = 10.0 * picture.pair + picture.steps + self.share(picture) * way
        return found

    def slope(self, pair, base, weights, source, everything, tell):
        self.slopes += 1
        self.model_calls += 3 * len(weights)
        assert (everything - source).square().sum() == pytest.approx(25 * (1 - sum(self.parts[layer] for layer in base)) ** 2, rel=1e-4)
        return [(w, [(layer not in base) * (part + w) for layer, part in enumerate(self.parts)]) for w in weights]

    def decode(self, latents):
        far = (latents[:, 0, 1, 0] - latents[:, 0, 1, 1]) / 4
        return np.stack([np.full((8, 8, 3), round(255 * float(one)), np.uint8) for one in far])


class Ocr:
    """Reads HOTEL where nine tenths of the way are drawn, HOT where half is, and CAFE otherwise."""

    name, language = "by brightness", "none"

    def read(self, picture, enlarge=1):
        return next(word for least, word in ((229, "Hotel"), (127, "HOT"), (0, "CAFE")) if picture[0, 0, 0] >= least)


def sweep_of(folder, drawing=None, **options):
    return Sweep(drawing or Drawn(PAIRS), Ocr(), folder, **options)


def test_closeness_is_the_share_of_the_squared_way(tmp_path):
    told = []
    sweep = sweep_of(tmp_path, tell=told.append)
    asked = [SOURCE, (0,), (1,), (0, 1, 2), sweep.layers]
    found = sweep.closeness(asked, range(2))
    assert found == {c: [pytest.approx(1 - (1 - s) ** 2, abs=1e-6)] * 2 for c, s in zip(asked, (0, 0.1, 0.6, 1, 1), strict=True)}
    assert sweep.computed == 10 and sweep.seen == 2
    pictures = [picture for batch in sweep.drawing.batches for picture in batch]
    assert len(pictures) == len(set(pictures)) == 10, "source and all layers are among them and drawn once"
    assert max(map(len, sweep.drawing.batches)) == 4 and all(len(batch) > 1 for batch in sweep.drawing.batches)
    # What is told: calls so far and what is left of this question, and by layer what it brings alone or what is lost without it.
    assert [(p.done, p.left) for p in told[:2]] == [(4, 6), (4, 6)] and (told[-1].done, told[-1].left) == (10, 0)
    assert told[-1].scores == {0: pytest.approx(0.19), 1: pytest.approx(0.84), 3: pytest.approx(0, abs=1e-6)}
    calls = sweep.drawing.model_calls
    assert sweep.closeness(asked, range(2)) == found and sweep.drawing.model_calls == calls and sweep.computed == 10
    sweep.closeness([(2,)], range(3))  # of the third pair source and all layers as well
    assert sweep.drawing.model_calls == calls + 5 and sweep.seen == 3
    sweep.closeness([(2,)], [0], steps=3)  # after other steps it is another question, and has its own source and all layers
    assert sweep.drawing.model_calls == calls + 5 + 3 * 3
    assert not any(picture.guided for batch in sweep.drawing.batches for picture in batch if picture.steps == 1)
    sweep.closeness([(2,)], [0], steps=2)
    assert all(picture.guided for batch in sweep.drawing.batches for picture in batch if picture.steps > 1), "guidance acts from then on"


def test_what_was_computed_is_not_computed_again(tmp_path):
    first = sweep_of(tmp_path)
    asked = [(0,), (1, 2)]
    found = first.closeness(asked, range(3)), first.readings([*asked, TARGET], range(3)), first.slopes((1,), (0.25, 0.5), range(2)).tolist()
    first.close()
    again = sweep_of(tmp_path)
    assert again.drawing.model_calls == 0
    assert again.closeness(asked, range(3)) == found[0] and again.readings([*asked, TARGET], range(3)) == found[1]
    assert again.slopes((1,), (0.25, 0.5), range(2)).tolist() == found[2]
    assert again.drawing.model_calls == again.computed == again.drawing.slopes == 0
    assert len(again.cells("closeness", range(3), asked, 1)) == len(again.cells("readings", range(3), asked, None)) == 6
    assert again.cells("readings", range(3), [(3,)], None) == {}
    other = sweep_of(tmp_path, Drawn(PAIRS[1:]))
    assert other.identity != again.identity or other.cells("closeness", range(2), asked, 1) == {}


def test_the_picture_by_which_a_call_is_timed_is_not_drawn_again(tmp_path):
    """Nor is any that is shown, or that others were compared with, when it is read or scored for the first time."""
    sweep = sweep_of(tmp_path)
    sweep.time_a_call()
    assert sweep.drawing.batches == [[Picture(0, SOURCE, 6)]]
    assert [r.read for r in sweep.readings([SOURCE, TARGET], range(2))[TARGET]] == ["Hotel"] * 2
    assert sum(map(len, sweep.drawing.batches)) == 1 + 3
    sweep.closeness([(0,)], [0])
    drawn = sum(map(len, sweep.drawing.batches))
    assert sweep.closeness([SOURCE, sweep.layers], [0]) == {SOURCE: [0.0], sweep.layers: [1.0]}
    again = sweep_of(tmp_path)
    assert again.readings([SOURCE], [0])[SOURCE][0].read == "CAFE" and not again.drawing.batches
    assert sum(map(len, sweep.drawing.batches)) == drawn == 4 + 3


def test_readings_are_of_the_picture_and_judged_by_the_word(tmp_path):
    told = []
    sweep = sweep_of(tmp_path, tell=told.append)
    found = sweep.readings([SOURCE, (1,), (0, 1, 2), TARGET], [0, 1])
    assert found[SOURCE] == [Reading(False, pytest.approx(0.2), "CAFE"), Reading(False, 0.0, "CAFE")]
    assert found[(1,)][0] == Reading(False, pytest.approx(0.6), "HOT")
    assert found[(0, 1, 2)][0] == found[TARGET][0] == Reading(True, 1.0, "Hotel") and not found[TARGET][1].exact
    assert set(told[-1].scores) == {1, 3} and told[-1].scores[1] == pytest.approx(
        (0.6 + Levenshtein.normalized_similarity("hot", "shut")) / 2
    )
    assert told[-1].picture[0, 0, 0] == 255 and told[-1].left == 0
    assert np.array_equal(sweep.picture(0, (1,)), np.full((8, 8, 3), 153)) and sweep.half == 3
    calls = sweep.drawing.model_calls
    assert not sweep.was_read(0, (1,)) and sweep.readings([(1,)], [0], 3)[(1,)][0].read == "HOT" and sweep.was_read(0, (1,))
    assert sweep.drawing.model_calls == calls + 3
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sweep.readings([(2,)], [2])


def test_slopes_are_kept_and_where_nothing_changes_they_are_none(tmp_path):
    told = []
    sweep = sweep_of(tmp_path, Drawn(PAIRS, equal=(1,)), tell=told.append)
    found = sweep.slopes((), (0.25, 0.5), range(3))
    assert found.shape == (3, 2, 4) and not found[1].any()
    assert found[0].tolist() == found[2].tolist() == [[pytest.approx(part + w) for part in PARTS] for w in (0.25, 0.5)]
    assert sweep.drawing.slopes == 2 and sweep.seen == 3 and sweep.computed == 6
    assert [p.left for p in told[-3:]] == [16, 8, 0], "four calls for each pair and weight"
    assert (sweep.slopes((), (0.5,), [2, 1]) == found[[2, 1]][:, 1:]).all() and sweep.drawing.slopes == 2
    sweep.slopes((1,), (0.5,), [0])
    assert sweep.drawing.slopes == 3


def tiny_search(folder, parts, proof, names=None, pairs=100, strategy="gradients", **options):
    model = next(tiny for tiny in MODELS if tiny.kind == "SD3").build()
    words = [WordPair("CAFE", "HOTEL")] * pairs
    sweep = sweep_of(folder, Drawn(words, parts, names or tuple(models.layer_names(model)), rows=16), **options)
    return sweep, localize(model, sweep, strategy, proof=proof)


@pytest.mark.parametrize("proof", [QUICK, SURE, WEIGHED])
def test_a_search_says_what_it_found(tmp_path, proof):
    sweep, found = tiny_search(tmp_path, (0.0, 1.0, 0.0), proof)
    assert found.selection.layers == (1,) and found.localized and found.sure == (proof != QUICK)
    assert found.text_layers.names == (found.names[1],) and "100 pairs" in found.text_layers.source
    assert (found.test is None) == (proof == QUICK) and (found.evidence is None) == (proof != WEIGHED)
    assert found.model_calls + found.proof_calls == sweep.drawing.model_calls and bool(found.proof_calls) == (proof != QUICK)
    told = found.text_layers.record
    assert len(told["pairs"]) == sweep.seen < len(sweep.pairs), "of the others nothing was asked"
    assert found.test is None or (sweep.seen >= needed("gradients")[0] and told["size"] == [1, 2, 2])
    lines = report(found, sweep)
    assert f"1 of {len(found.names)} text layers decide the drawn word:" in lines and f"  1: {found.names[1]}   score" in lines
    assert "Pairs of different length: " in lines and "Pairs of equal length" not in lines and "Memory ran out" not in lines
    right, of = (int(n) for n in lines.split("Pairs of different length: ")[1].split(" read")[0].split(" of "))
    assert right == of > 0
    sweep.drawing.rows = 15
    assert "Memory ran out with 16 pictures in a batch; 15 fitted." in report(found, sweep)


@pytest.mark.parametrize("strategy", ["gradients", "first_step"])
def test_a_search_that_goes_on_counts_what_was_called_before(tmp_path, strategy):
    """Stopped at any moment, its record tells as many calls as one that was not stopped, but for those of the batch that was lost."""

    class Stopped(Exception):
        pass

    def stop(progress):
        if progress.done > 60:
            raise Stopped

    _, whole = tiny_search(tmp_path / "whole", (0.1, 0.6, 0.3), QUICK, strategy=strategy)
    with pytest.raises(Stopped):
        tiny_search(tmp_path / "stopped", (0.1, 0.6, 0.3), QUICK, strategy=strategy, tell=stop)
    sweep, found = tiny_search(tmp_path / "stopped", (0.1, 0.6, 0.3), QUICK, strategy=strategy)
    calls = whole.text_layers.record["model_calls"]
    assert found.text_layers.record["model_calls"] == pytest.approx(calls, abs=16 * STEPS)
    assert 0 < found.spared <= 60 + 16 * STEPS and found.model_calls == sweep.drawing.model_calls < calls == whole.model_calls
    assert f"{found.model_calls} model calls beside {found.spared} of a search before" in report(found, sweep)
    _, again = tiny_search(tmp_path / "whole", (0.1, 0.6, 0.3), QUICK, strategy=strategy)
    assert again.model_calls == 0 and again.text_layers.record == whole.text_layers.record


@pytest.mark.parametrize("strategy", ["gradients", "first_step", "exhaustive"])
@pytest.mark.parametrize("proof", [SURE, WEIGHED])
@pytest.mark.parametrize("pairs", [3, 18, 60])
def test_so_many_more_pairs_as_are_said_make_it_sure(tmp_path, strategy, proof, pairs):
    """And where some were left to test it, not one fewer does."""

    def searched(count):
        return tiny_search(tmp_path / str(count), (0.0, 1.0, 0.0), proof, pairs=count, strategy=strategy)[1]

    doubt = searched(pairs).text_layers.doubt
    if strategy == "exhaustive":
        assert "a search by the strategy gradients with 85 word pairs can be" in doubt and not searched(200).sure
        return
    more = int(re.search(r"; (\d+) more word pairs, all read, (would|can) make it sure", doubt)[1])
    assert searched(pairs + more).sure and (" can " in doubt or not searched(pairs + more - 1).sure)


def test_a_word_that_needs_most_layers_is_not_localized(tmp_path):
    sweep, found = tiny_search(tmp_path, (0.4, 0.3, 0.3), WEIGHED)
    assert not found.localized and not found.sure and found.test is None
    assert len(found.selection.layers) == 3 and found.reached == pytest.approx(1)
    # The share of the squared way that one, two and three layers go.
    assert found.curve == ((1, pytest.approx(1 - 0.6**2, abs=1e-3)), (2, pytest.approx(1 - 0.3**2, abs=1e-3)), (3, 1.0))
    assert "Not localized: 100 % of the effect needs 3 of 3 text layers" in report(found, sweep)


def test_what_a_word_lacks_that_is_not_localized_is_said(tmp_path):
    """Of twelve layers seven have all but a twentieth of the way, and with it all but a four-hundredth of its square."""
    parts = (0.2, 0.15, 0.15, 0.15, 0.1, 0.1, 0.1, 0.05, 0, 0, 0, 0)
    _, found = tiny_search(tmp_path, parts, QUICK, names=tuple("abcdefghijkl"))
    assert not found.localized and len(found.selection.layers) == 7 and found.reached == pytest.approx(1 - 0.05**2)


def test_how_many_pairs_are_needed_is_said_before():
    for strategy in STRATEGIES:
        fresh, together = needed(strategy)
        assert before(1, strategy, QUICK) == ""
        if strategy == "exhaustive":
            assert "looks at all word pairs: its answer cannot be tested" in before(10_000, strategy, SURE)
            continue
        assert before(together, strategy, SURE) == before(together, strategy, WEIGHED) == ""
        for pairs in (1, together - 1):
            assert f"{pairs} word pairs are too few for a sure answer: {fresh} that" in before(pairs, strategy, SURE)
