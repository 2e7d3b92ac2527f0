"""One sweep for all strategies: what they ask of pictures is drawn in batches, kept on disk, and never drawn twice.

Sweep      closeness and readings of any candidate layers, for any pairs, and the slopes of all layers at once
Reading    what OCR read, and how near it is to the target's word
"""

import hashlib
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import comfy.model_management
import numpy as np
import torch

from ..patching.messages import NoGradient
from ..scoring import text
from ..scoring.compare import USUAL
from ..scoring.ocr import enlargement
from ..scoring.ocr_engine import Engine
from . import drawing as mechanism
from . import identity
from .cells import CellStore, Memory
from .drawing import SOURCE, TARGET, Drawing, Picture, first_prediction

SHOWN = 4  # pairs whose finished pictures are kept, for people to look at


@dataclass(frozen=True)
class Reading:
    """exact: OCR reads the target's text; similarity: 1 - edit distance / length, both folded; read: what it read, as it stands."""

    exact: bool
    similarity: float
    read: str


@dataclass
class Progress:
    """What a search tells while it runs. done, left: model calls, left of the question that is being asked; scores: layer -> mean of
    what was seen of it so far; picture: [H, W, 3] uint8, the last one that was read; asked: the question, in words."""

    done: int
    left: int
    scores: dict[int, float]
    picture: np.ndarray | None
    asked: str = ""


@dataclass
class Sweep:
    """drawing: of the model; ocr: an engine of scoring.ocr; folder: where cells are kept, below a name of their own for this model
    and these settings, or None for nothing on disk; tell(Progress) is called after each step of the sampler.

    `parts` says what its cells depend on, and `identity` is a name made of it. `computed` counts the cells that were not on disk; `seen`
    is how many pairs, from the top, any question was about: those behind them have told nothing about any set of layers. `spared`: model
    calls of a search before, for what was kept of it and asked for again. `pace`: seconds of a model call, once it was timed.
    """

    drawing: Drawing
    ocr: Engine
    folder: Path | None
    tell: Callable = lambda progress: None
    computed: int = 0
    seen: int = 0
    spared: int = 0
    pace: float = 0.0
    _asked: str = ""
    _latents: dict = field(default_factory=dict)
    _latest: dict = field(default_factory=dict)  # first predictions of the last question, which the next one often goes on from
    _seen: dict = field(default_factory=dict)
    _picture: np.ndarray | None = None
    _no_gradient: NoGradient | None = None
    _unpaid: int = 0  # model calls since the last cell, which the next one is said to have cost
    _met: set = field(default_factory=set)  # cells that were computed here, or whose cost is among `spared`

    def __post_init__(self):
        if self.folder is None:
            self.store = Memory()
            return
        version = identity.of_code(mechanism, sys.modules[__name__])
        self.parts = {**self.drawing.identity(), "OCR": identity.of_engine(self.ocr), "version": version}
        self.identity = hashlib.sha256(repr(sorted(self.parts.items())).encode()).hexdigest()[:32]
        self.store: Memory = CellStore(self.folder / self.identity)

    def time_a_call(self):
        """Draws the first source picture, which every search needs, by itself, and takes its `pace`. One that is kept is not drawn again:
        then there is none."""
        first = Picture(0, SOURCE, self.drawing.setting.steps)
        if self.store.get_array(self._key(first)) is not None:
            return
        self._asked, ticks = "One picture, which shows how long a call takes", []

        def tick():
            ticks.append((time.perf_counter(), self.drawing.model_calls))
            self._tell(0)

        self.store.put_array(self._key(first), self.drawing.draw([first], tick)[first])
        if len(ticks) > 1:  # the first step may have loaded the model
            (started, before), (ended, after) = ticks[0], ticks[-1]
            self.pace = (ended - started) / max(1, after - before)

    @property
    def layers(self):
        return self.drawing.everything

    @property
    def pairs(self):
        return self.drawing.pairs

    @property
    def half(self):
        """Steps after which the word can be read: the model's prediction of the finished picture is legible half-way."""
        return math.ceil(self.drawing.setting.steps / 2)

    def closeness(self, candidates: Iterable[tuple[int, ...]], pairs: Iterable[int], steps=1):
        """{candidate: [for each pair 1 when the model's prediction is that of all layers patched, 0 when it is the source's]}.

        The share of the way, by squared distance of latents, after `steps` steps; one is enough to see which word is meant, and does
        without guidance.
        """
        candidates, pairs = list(candidates), list(pairs)
        self._note(pairs, f"How far {_sets(candidates)} move the first prediction")
        wanted = [_looked_at(pair, layers, steps) for pair in pairs for layers in candidates]
        missing = [p for p in wanted if self._known(self._key(p, "closeness")) is None]
        references = dict.fromkeys(replace(p, layers=layers) for p in missing for layers in (SOURCE, self.layers))

        latest = {}

        def score(picture, latent):
            latest[picture] = latent
            source, everything = (self._latents[replace(picture, layers=layers)] for layers in (SOURCE, self.layers))
            whole = (source - everything).square().sum()
            value = 1 - float((latent - everything).square().sum() / whole) if whole > 0 else 0.0
            self._see(picture.layers, value)
            self._keep(picture, "closeness", value)

        self._compute(references, missing, score)
        if steps == 1:
            self._latest = {picture: latent for picture, latent in self._latest.items() if picture.layers in candidates} | latest
        cells = {layers: [self._key(_looked_at(pair, layers, steps), "closeness") for pair in pairs] for layers in candidates}
        return {layers: [self._known(key) for key in keys] for layers, keys in cells.items()}

    def slopes(self, base, weights, pairs):
        """[pairs, weights, layers]: derivatives of how far the first prediction is on the way from that of `base` (0) to that of all
        layers (1), by each layer's weight, where the layers of `base` take all of the target and the others as much as each of `weights`
        says. One forward and one backward pass for each pair and weight.

        Raises NoGradient where the model has none.
        """
        pairs = list(pairs)
        self._note(pairs, "Which layers' weights move the first prediction most")
        references = [first_prediction(pair, layers) for pair in pairs for layers in (base, self.layers)]
        kinds = {w: f"slope {w}" for w in weights}
        cells = {pair: [self._key(first_prediction(pair, base), kind) for kind in kinds.values()] for pair in pairs}
        missing = [pair for pair, keys in cells.items() if None in [self._known(key) for key in keys]]
        self._compute(dict.fromkeys(p for p in references if p.pair in missing), {}, None)
        for number, pair in enumerate(missing):
            left = 4 * len(weights) * (len(missing) - number - 1)
            source, everything = (self._latents[first_prediction(pair, layers)] for layers in (base, self.layers))
            if source.equal(everything):
                slopes = [(0.0, [0.0] * len(self.layers))] * len(weights)
            else:
                slopes = self._slope(pair, base, weights, source, everything, lambda left=left: self._tell(left))
            for w, (_, by_layer) in zip(weights, slopes, strict=True):
                self._keep(first_prediction(pair, base), kinds[w], by_layer)
            self._tell(left)
        return np.array([[self._known(key) for key in cells[pair]] for pair in pairs])

    def readings(self, candidates, pairs, steps=None):
        """{candidate: [Reading of each pair]}. A candidate can be SOURCE or TARGET. steps: None for the finished picture."""
        steps = steps or self.drawing.setting.steps
        candidates, pairs = list(candidates), list(pairs)
        when = "finished pictures" if steps == self.drawing.setting.steps else "pictures half-way"
        self._note(pairs, f"What OCR reads in {when} with {_sets(candidates)}")
        wanted = [Picture(pair, layers, steps) for pair in pairs for layers in candidates]
        missing = [p for p in wanted if self._known(self._key(p, "readings")) is None]

        def score(picture, latent):
            comfy.model_management.throw_exception_if_processing_interrupted()
            drawn = self.drawing.decode(latent[None])[0]
            result = {"read": self.ocr.read(drawn, enlargement(drawn.shape[0]))}
            self._picture = drawn
            if picture.layers not in (SOURCE, TARGET):
                self._see(picture.layers, self._judged(picture, result["read"]).similarity)
            self._keep(picture, "readings", result)

        self._compute({}, missing, score)
        return {layers: [self._reading(Picture(pair, layers, steps)) for pair in pairs] for layers in candidates}

    def cells(self, kind, pairs, *asked):
        """{key: [result, model calls]} of what is known of an answer. kind: "closeness", "slopes" or "readings"; asked: what these take
        beside pairs."""
        keys = [key for pair in pairs for key in self._keys(kind, pair, *asked)]
        return {key: result for key in keys if (result := self.store.get(key)) is not None}

    def unanswered(self, kind, pairs, *asked):
        """The pairs of which something is not known."""
        return [pair for pair in pairs if any(self.store.get(key) is None for key in self._keys(kind, pair, *asked))]

    def _keys(self, kind, pair, asked, how):
        """asked: candidates, or the base of slopes; how: steps, or the weights."""
        if kind == "slopes":
            return [self._key(first_prediction(pair, asked), f"slope {w}") for w in how]
        picture = _looked_at if kind == "closeness" else Picture
        return [self._key(picture(pair, layers, how or self.drawing.setting.steps), kind) for layers in asked]

    def was_read(self, pair, candidate):
        """Whether the prediction half-way was asked for and is among the cells. A pair that was not costs nothing here."""
        return self.drawing.is_asked(pair) and self.store.get(self._key(Picture(pair, candidate, self.half), "readings")) is not None

    def picture(self, pair, candidate):
        """A finished picture [H, W, 3] uint8, drawn if it is not there."""
        wanted = Picture(pair, candidate, self.drawing.setting.steps)
        self._compute({wanted: None}, {}, None)
        return self.drawing.decode(self._latents[wanted][None])[0]

    def close(self):
        """Closes the file of cells; what is in it stays."""
        self.store.close()

    def _slope(self, *asked):
        """Once the model has said that it has none, it is not asked again."""
        if self._no_gradient is not None:
            raise self._no_gradient
        before = self.drawing.model_calls
        try:
            return self.drawing.slope(*asked)
        except NoGradient as reason:
            self._no_gradient = reason
            raise
        finally:
            self._unpaid += self.drawing.model_calls - before

    def _note(self, pairs, asked):
        self._asked = asked
        self.seen = max([self.seen, *(pair + 1 for pair in pairs)])

    def _reading(self, picture):
        return self._judged(picture, self._known(self._key(picture, "readings"))["read"])

    def _judged(self, picture, read):
        said, wanted = USUAL.folded(read), USUAL.folded(self.pairs[picture.pair].target)
        return Reading(said == wanted, text.similarity(said, wanted), read)

    def _compute(self, references, missing, score):
        """Draws references and missing pictures, unless their latents are there, pair by pair as far as they fit into batches, and scores
        the missing ones as soon as they are drawn."""
        missing = dict.fromkeys(missing)
        for picture in dict.fromkeys([*references, *missing]):
            if picture in self._latest:
                self._latents[picture] = self._latest[picture]
            elif picture not in self._latents:
                kept = self.store.get_array(self._key(picture))
                if kept is not None:
                    self._latents[picture] = torch.from_numpy(kept)
        there = [picture for picture in missing if picture in self._latents]
        needed = dict.fromkeys(picture for picture in [*references, *missing] if picture not in self._latents)
        order = sorted(needed, key=lambda p: (p.pair, p not in references))
        for batch, left in self._batches(order):
            before = self.drawing.model_calls
            drawn = self.drawing.draw(batch, lambda left=left: self._tell(left))
            self._unpaid += self.drawing.model_calls - before
            for picture, latent in drawn.items():
                shown = picture.pair < SHOWN and picture.steps == self.drawing.setting.steps
                if shown or picture in references:
                    self._latents[picture] = latent
                    self.store.put_array(self._key(picture), latent.numpy())
            for picture in batch:
                if picture in missing:
                    score(picture, drawn[picture])
                    self._tell(left)
        for picture in there:
            score(picture, self._latents[picture])
            self._tell(0)

    def price(self, pictures):
        """Model calls of pictures that one question draws."""
        return sum(self.drawing.price(batch) for batch, _ in self._batches(pictures))

    def _batches(self, order):
        """(pictures of one batch, model calls left after it)."""
        batches = []
        for picture in order:
            if batches and self.drawing.cost([*batches[-1], picture]) <= self.drawing.rows:
                batches[-1].append(picture)
            else:
                batches.append([picture])
        costs = [self.drawing.calls(batch) for batch in batches]
        for number, batch in enumerate(batches):
            yield batch, sum(costs[number + 1 :])

    def _tell(self, left):
        scores = {layer: float(np.mean(values)) for layer, values in self._seen.items()}
        self.tell(Progress(self.drawing.model_calls, left, scores, self._picture, self._asked))

    def _see(self, candidate, value):
        """Remembers for people what a layer alone brings, or what is lost without it."""
        if len(candidate) == 1:
            self._seen.setdefault(candidate[0], []).append(value)
        elif len(candidate) == len(self.layers) - 1:
            (layer,) = set(self.layers) - set(candidate)
            self._seen.setdefault(layer, []).append(1 - value)

    def _keep(self, picture, kind, result):
        key = self._key(picture, kind)
        self.computed += 1
        self.store.put(key, [result, self._unpaid])
        self._met.add(key)
        self._unpaid = 0

    def _known(self, key):
        """The result of a cell, or None."""
        kept = self.store.get(key)
        if kept is None:
            return None
        if key not in self._met:
            self._met.add(key)
            self.spared += kept[1]
        return kept[0]

    def _key(self, picture, kind=""):
        """What a cell depends on beside the sweep's identity."""
        layers = picture.layers if isinstance(picture.layers, str) else [self.drawing.names[i] for i in picture.layers]
        prompts = [self.drawing.fingerprint(self.drawing.prompt(picture.pair, target)) for target in (False, True)]
        negative = self.drawing.fingerprint(self.drawing.setting.negative) if picture.guided else "before guidance"
        parts = (kind, picture.pair, layers, picture.steps, self.pairs[picture.pair].target, prompts, negative)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def _sets(candidates):
    return f"{len(candidates)} sets of layers" if len(candidates) > 1 else "a set of layers"


def _looked_at(pair, layers, steps):
    """What closeness compares."""
    return Picture(pair, layers, steps, guided=steps > 1)
