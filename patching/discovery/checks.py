"""Does patching do what it should on a model that was looked at? Asked on the spot, before anything is drawn with it.

check   raises Unclear where it does not

The letters are those of benchmarks/families/checks.py, which asks the same of all families on tiny models:
a. the text layers are those attentions in which the picture sees the text (that is how they were found: look.py)
b. patching gives a layer the text keys and values of the target's run, and changes nothing else up to there
c. with the source's text as target nothing changes, nor with start = steps, nor in the model afterwards
d. the picture is that of another way to make it: the target's run recorded, and put in call by call
e. the same in a batch, without CFG, and with CFG's halves in two calls and texts of different length
"""

from collections import defaultdict
from dataclasses import replace

import torch

from .. import models
from ..patch import METHODS, patch_prompt
from ..text_layers import TextLayers
from . import variants
from .place import Unclear, moved

_CFG = 4.0


def check(probe, found):
    """The found family is in models.FOUND."""
    bench = _Bench(probe, found)
    for letter, function in {"b": _keys_and_values, "c": _nothing, "d": _another_way, "e": _cases}.items():
        try:
            function(bench)
        except Unclear as error:
            raise Unclear(f"check {letter} failed on it: {error}") from None


class _Bench:
    def __init__(self, probe, found):
        self.probe, self.names = probe, found.layers
        self._found = found
        source, longer = found.prompt, found.longer
        names = variants.fields(source)
        self.source, self.longer = source, longer
        self.target, self.longer_target = (variants.other(one, names) for one in (source, longer))
        self.negative, self.longer_negative = (variants.other(one, names, 2) for one in (source, longer))
        self.family = found.family

    def place(self, prompt):
        """Where the text stands among the keys."""
        return self._found.places[any(prompt is one for one in (self.longer, self.longer_target, self.longer_negative))]

    def edit(self, layers, target, negative=None, **options):
        chosen = TextLayers(self.family.name, models.architecture(self.probe.model), tuple(layers), source="checked")
        return patch_prompt(self.probe.model, chosen, _text(target), negative and _text(negative), notice=lambda text: None, **options)

    def draw(self, positive, model=None, negative=None, rows=1, cfg=_CFG, sigmas=None, **options):
        probe = self.probe
        sigmas = probe.sigmas if sigmas is None else sigmas
        return probe.draw(positive, probe.noise(rows=rows), negative or self.negative, model, sigmas, cfg, **options)


def _text(prompt):
    """As a text encoder would give it."""
    return [[prompt[0][0].clone(), dict(prompt[0][1])]]


def _keys_and_values(bench):
    probe, noise = bench.probe, bench.probe.noise()
    source, target = (probe.draw(prompt, noise).seen for prompt in (bench.source, bench.target))
    where = bench.place(bench.source)
    for layers in (*([name] for name in _some(bench.names)), bench.names):
        patched = probe.draw(bench.source, noise, model=bench.edit(layers, bench.target)).seen[-len(source) :]
        before, met = True, set()
        for got, own, other in zip(patched, source, target, strict=True):
            if own.name in layers and own.first:
                met.add(own.name)
                if moved(got, other)[where].any() or not moved(own, other)[where].any():
                    raise Unclear(f"the text's keys and values in {own.name} are not those of the target's run")
                rest = moved(got, own)
                rest[where] = False
                if before and (rest.any() or not torch.equal(got.q, own.q)):
                    raise Unclear(f"other keys, values or queries of {own.name} have changed")
                before = False
            elif before and (moved(got, own).any() or not torch.equal(got.q, own.q)):
                raise Unclear(f"{layers[0]} changes what comes before it")
        if met != set(layers):
            raise Unclear(f"{(set(layers) - met).pop()} was not called")


def _nothing(bench):
    plain = bench.draw(bench.source).picture
    for method in METHODS if bench.family.evolves else METHODS[:1]:
        same = bench.draw(bench.source, bench.edit(bench.names, bench.source, method=method)).picture
        if not torch.equal(same, plain):
            raise Unclear(f"its own text put in changes the picture ({method}, {(same - plain).abs().max():.1e})")
    late = bench.edit(bench.names, bench.target, start=len(bench.probe.sigmas) - 1)
    if not torch.equal(bench.draw(bench.source, late).picture, plain):
        raise Unclear("patching changes the picture before it should start")
    if torch.equal(bench.draw(bench.source, bench.edit(bench.names, bench.target)).picture, plain):
        raise Unclear("patching all layers changes nothing")
    if not torch.equal(bench.draw(bench.source).picture, plain):
        raise Unclear("it does not draw the same picture twice, or is another one after patching")


def _another_way(bench):
    _compare(bench, bench.names[-1], bench.source, bench.target)


def _cases(bench):
    middle, once = bench.names[len(bench.names) // 2], {"sigmas": bench.probe.sigmas[:2]}
    _compare(bench, middle, bench.source, bench.target, rows=2, **once)
    # The halves of CFG cannot share a call where their texts differ in length.
    _compare(bench, middle, bench.source, bench.target, negative=bench.longer_negative, **once)
    _compare(bench, middle, bench.source, bench.longer_target, cfg=1.0, **once)
    _compare(bench, middle, bench.longer, bench.target, cfg=1.0, **once)


def _compare(bench, layer, source, target, negative=None, **options):
    """The pictures of patching and of the target's run recorded and replayed."""
    negative = negative or bench.negative
    plain = bench.draw(source, negative=negative, **options).picture
    ours = bench.draw(source, bench.edit([layer], target), negative, **options).picture
    theirs, wide = _replayed(bench, layer, source, target, negative, options)
    size = (theirs - plain).abs().max()
    if not size > 1e-4 * plain.abs().max():
        raise Unclear(f"patching {layer} changes nothing")
    # Both do the same operations, in another order.
    error = ((ours - theirs).abs().max() / size).item()
    if not error <= (1e-3 if wide else 5e-2):
        raise Unclear(f"{layer} patched gives another picture than its keys and values put in by hand ({error:.1e} of the change)")


def _replayed(bench, layer, source, target, negative, options):
    """(picture, whether the model computes in 32 bits)"""
    kept = defaultdict(list)
    for seen in bench.draw(target, negative=negative, keep=(layer,), **options).seen:
        if seen.name == layer and seen.first:
            kept[seen.sides].append(seen.call)
    wide = next(iter(kept.values()))[0].k.dtype == torch.float32

    def place(sides, positive):
        return bench.place(negative if sides == (1,) else positive)

    def put(seen, attention):
        if seen.name != layer or not seen.first:
            return None
        if not kept[seen.sides]:
            raise Unclear("it is called otherwise for another text")
        own, other = place(seen.sides, source), place(seen.sides, target)
        parts = _at(kept[seen.sides].pop(0), other).text_parts()
        return _at(attention, own).with_text(*parts)()

    return bench.draw(source, negative=negative, watch=put, **options).picture, wide


def _at(attention, text):
    return replace(attention, text=text)


def _some(names):
    return list(dict.fromkeys((names[0], names[len(names) // 2], names[-1])))
