"""Localization of the text layers of a model, from word pairs to TEXT_LAYERS. [Staniszewski et al., section 4]

localize        ranks the layers by a strategy and selects the smallest set
Localization    the answer, with the figures that support it
report          the answer for people, in lines of text
chart           the answer as a picture: a bar for each layer
contact_sheet   the answer as pictures: source, plain target, edit, and what the other layers do
"""

import time
from dataclasses import dataclass

from ..patching import models
from ..patching.text_layers import TextLayers
from ..scoring import charts
from .drawing import SOURCE, TARGET
from .selection import Selection, interval, select
from .strategies import STRATEGIES, Ranking
from .sweep import SHOWN

_FEW = 6  # pairs of a kind that the report reads where the selection has read none


@dataclass(frozen=True)
class Localization:
    strategy: str
    text_layers: TextLayers
    ranking: Ranking
    selection: Selection
    names: tuple[str, ...]
    model_calls: int
    seconds: float


def localize(model, sweep, strategy, judge=None):
    """sweep: of the same MODEL; strategy: a name of STRATEGIES. judge: a sweep with another engine or more pairs, which selects among the
    layers that `sweep` has ranked; the same without it. The selection reads the model's prediction half-way through the schedule, where a
    word is as legible as in the finished picture and costs half.

    Raises ValueError for an unknown strategy and when the model does not draw the words.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f'There is no strategy "{strategy}"; choose one of: {", ".join(STRATEGIES)}.')
    judge = judge or sweep
    drawings = {id(s.drawing): s.drawing for s in (sweep, judge)}.values()
    calls, started = sum(d.model_calls for d in drawings), time.perf_counter()
    ranking = STRATEGIES[strategy](sweep)
    selection = select(judge, ranking, judge.half)
    names = sweep.drawing.names
    chosen = TextLayers(
        models.family_of(model).name,
        models.architecture(model),
        tuple(names[layer] for layer in selection.layers),
        scores={names[layer]: round(ranking.mean(layer), 4) for layer in selection.layers},
        source=f"localized, {strategy}, {len(judge.pairs)} pairs, seed {sweep.drawing.setting.seed}",
    )
    calls = sum(d.model_calls for d in drawings) - calls
    return Localization(strategy, chosen, ranking, selection, names, calls, time.perf_counter() - started)


def report(found, sweep):
    """Several lines: the chosen layers, what supports them, what is doubtful, what it cost."""
    chosen = found.selection.layers
    lines = [f"{len(chosen)} of {len(found.names)} text layers decide the drawn word:"]
    for layer in chosen:
        mean, lower, upper = interval(found.ranking.scores[layer])
        lines.append(f"  {layer}: {found.names[layer]}   score {mean:.3f} (95 %: {lower:.3f} to {upper:.3f})")
    lines.append(f"Best single layer, the paper's choice: {found.selection.best_single}.")
    lines.append("Words read as the target, of those that are read with all layers patched:")
    for layers, verdict in found.selection.verdicts.items():
        sure = "" if verdict.sure else ", undecided"
        lines.append(f"  layers {_numbers(layers)}: {verdict.good} of {verdict.counted}{sure}")
    if found.selection.close:
        lines.append(f"Kept without asking OCR, for what each alone fills of the first prediction: {_numbers(found.selection.close)}.")
    for kind, equal in (("equal", True), ("different", False)):
        counted = _by_length(found, sweep, equal)
        if counted[1]:
            lines.append(f"Pairs of {kind} length: {counted[0]} of {counted[1]} read as the target with the chosen layers.")
    lines += [f"In doubt: {doubt}." for doubt in found.selection.doubts]
    lines.append(f"{found.strategy}: {found.model_calls} model calls, {found.seconds:.0f} s.")
    if sweep.drawing.rows < sweep.drawing.setting.rows:
        lines.append(f"Memory ran out with {sweep.drawing.setting.rows} pictures in a batch; {sweep.drawing.rows} fitted.")
    if sweep.store.problem:
        lines.append(sweep.store.problem)
    return "\n".join(lines)


def _numbers(layers):
    return ", ".join(map(str, layers)) if len(layers) < 12 else f"{layers[0]} to {layers[-1]} ({len(layers)})"


def _by_length(found, sweep, equal):
    """(exact, read) of the chosen layers among the pairs of equal, or of different, length that the selection has read, or the first."""
    fit = [n for n, pair in enumerate(sweep.pairs) if pair.equal_length == equal]
    pairs = [n for n in fit if sweep.was_read(n, found.selection.layers)] or fit[:_FEW]
    if not pairs:
        return 0, 0
    readings = sweep.readings([found.selection.layers], pairs, sweep.half)[found.selection.layers]
    return sum(r.exact for r in readings), len(readings)


def chart(found):
    """[H, W, 3] uint8"""
    scores = [interval(found.ranking.scores[layer]) for layer in range(len(found.names))]
    title = f"Text layers {_numbers(found.selection.layers)} of {len(found.names)}"
    what = "effect on the word read" if found.strategy == "exhaustive" else "share of the word lost without"
    return charts.layer_chart(scores, found.selection.layers, title, what)


def contact_sheet(found, sweep):
    """[H, W, 3] uint8: finished pictures of the first pairs, with what OCR reads on them."""
    chosen = found.selection.layers
    others = tuple(layer for layer in sweep.layers if layer not in chosen)
    kinds = {"source": SOURCE, "target prompt": TARGET, "these layers": chosen, "all other layers": others or SOURCE}
    pairs = range(min(SHOWN, len(sweep.pairs)))
    read = sweep.readings(kinds.values(), pairs)
    rows = [
        [(sweep.picture(pair, layers), " / ".join(read[layers][pair].read.splitlines()) or "-") for layers in kinds.values()]
        for pair in pairs
    ]
    return charts.contact_sheet(list(kinds), rows)
