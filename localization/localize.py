"""Localization of the text layers of a model, from word pairs to TEXT_LAYERS. [Staniszewski et al., section 4]

localize        ranks the layers by a strategy, selects the smallest set, and tests what may be said of it
before          what is known before a search begins
Localization    the answer, with the figures that support it
report          the answer for people, in lines of text
chart           the answer as a picture: a bar for each layer
contact_sheet   the answer as pictures: source, plain target, edit, and what the other layers do
"""

import time
from dataclasses import dataclass, replace

from ..patching import models
from ..patching.text_layers import TextLayers
from ..scoring import charts
from ..scoring.intervals import interval
from .choice import chooser, curve
from .drawing import SOURCE, TARGET
from .proof import Evidence, Test, confirm, needed, weigh
from .record import record
from .selection import CLOSE_PAIRS, Selection, gaps
from .strategies import STRATEGIES, Ranking
from .sweep import SHOWN

_FEW = 6  # pairs of a kind that the report reads where the selection has read none
MOST = 0.5  # of the layers: where the word needs more, it is not localized
QUICK, SURE, WEIGHED = "search", "search and test", "search, test and weigh"
PROOFS = (QUICK, SURE, WEIGHED)
_TESTED_BY = f"by the strategy gradients with {needed('gradients')[1]} word pairs"
_TESTABLE = f"A search {_TESTED_BY} can be tested."


@dataclass(frozen=True)
class Localization:
    strategy: str
    text_layers: TextLayers
    ranking: Ranking
    selection: Selection
    names: tuple[str, ...]
    model_calls: int
    seconds: float
    test: Test | None = None
    evidence: Evidence | None = None
    proof_calls: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    reached: float = 1.0  # share of the effect on the first prediction, where it was asked
    spared: int = 0  # model calls of a search before, from which this one went on

    @property
    def localized(self):
        """Whether few layers decide the word."""
        return len(self.selection.layers) <= MOST * len(self.names)

    @property
    def sure(self):
        return self.localized and self.test is not None and self.test.sure

    def says_not(self):
        """The negative answer."""
        return (
            f"Not localized: {100 * self.reached:.0f} % of the effect needs {len(self.selection.layers)} of {len(self.names)} text layers, "
            f"more than {100 * MOST:.0f} %: no small set decides which words this model draws. To patch them all the same, write them by "
            "hand in Text Layers."
        )


def before(pairs, strategy, proof):
    """A line for people. pairs: how many are given."""
    fresh, together = needed(strategy)
    if proof == QUICK or (together is not None and pairs >= together):
        return ""
    if together is None:
        return f"The strategy {strategy} looks at all word pairs: its answer cannot be tested, and will be called not sure. {_TESTABLE}"
    return (
        f"{pairs} word pairs are too few for a sure answer: {fresh} that the search has not read, all drawn right, are needed, "
        f"{together} in all. The search goes on, and its answer will be called not sure."
    )


def localize(model, sweep, strategy, judge=None, proof=QUICK):
    """sweep: of the same MODEL; strategy: a name of STRATEGIES. judge: a sweep with another engine or more pairs, which selects among the
    layers that `sweep` has ranked; the same without it. proof: of PROOFS; the test and what is weighed are on finished pictures of pairs
    that the search has not read. The selection reads the model's prediction half-way through the schedule, where a word is nearly as
    legible as in the finished picture and costs half.

    Raises ValueError for an unknown strategy and when the model does not draw the words.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f'There is no strategy "{strategy}"; choose one of: {", ".join(STRATEGIES)}.')
    judge = judge or sweep
    drawings = {id(s.drawing): s.drawing for s in (sweep, judge)}.values()
    sweeps = {id(s): s for s in (sweep, judge)}.values()
    calls, spared, started = sum(d.model_calls for d in drawings), sum(s.spared for s in sweeps), time.perf_counter()
    ranking = STRATEGIES[strategy](sweep)
    both = _Both(sweep, judge) if strategy == "gradients" and judge is not sweep else judge
    selection = chooser(strategy)(both, ranking, judge.half)
    names = sweep.drawing.names
    chosen = TextLayers(
        models.family_of(model).name,
        models.architecture(model),
        tuple(names[layer] for layer in selection.layers),
        scores={names[layer]: round(ranking.mean(layer), 4) for layer in selection.layers},
        source=f"localized, {strategy}, {len(judge.pairs)} pairs, seed {sweep.drawing.setting.seed}",
    )
    calls, spared = sum(d.model_calls for d in drawings) - calls, sum(s.spared for s in sweeps) - spared
    found = Localization(strategy, chosen, ranking, selection, names, calls, time.perf_counter() - started, spared=spared)
    if not found.localized:  # such layers go nowhere
        missing = gaps(judge, [selection.layers], CLOSE_PAIRS)[selection.layers]
        return _recorded(model, judge, replace(found, curve=curve(judge, ranking), reached=1 - missing))
    if proof == QUICK:
        together = needed(strategy)[1]
        how = f"with {together} word pairs" if together else _TESTED_BY
        return _recorded(model, judge, _in_doubt(found, f"not tested: {SURE} in Localize Text Layers, {how}, can make it sure"))
    first, calls = max(sweep.seen, judge.seen), judge.drawing.model_calls
    test = confirm(judge, selection.layers, first)
    left = len(judge.pairs) - max(first, judge.seen)
    evidence = weigh(judge, selection.layers, first) if proof == WEIGHED and first < len(judge.pairs) else None
    found = replace(found, test=test, evidence=evidence, proof_calls=judge.drawing.model_calls - calls)
    if test.sure:
        return _recorded(model, judge, found)
    read = (
        f"{test.good} of {test.counted} words that the search had not seen are read"
        if test.counted
        else "too few pairs are left to test it"
    )
    return _recorded(model, judge, _in_doubt(found, f"not sure: {read}; {_way(strategy, len(judge.pairs), first, test.more() - left)}"))


def _way(strategy, pairs, first, more):
    """What makes an answer sure. first: of `pairs`, that the search has not looked at; more: pairs that its test lacks."""
    together = needed(strategy)[1]
    if together is None:
        return f"a search {_TESTED_BY} can be"
    if first < pairs:
        return f"{max(1, more)} more word pairs, all read, would make it sure"
    # The search has looked at all that there were, and may look at more of more.
    return f"{max(1, more, together - pairs)} more word pairs, all read, can make it sure"


def _in_doubt(found, doubt):
    return replace(found, text_layers=replace(found.text_layers, doubt=doubt))


def _recorded(model, sweep, found):
    return replace(found, text_layers=replace(found.text_layers, record=record(model, sweep, found)))


def report(found, sweep):
    """Several lines: the chosen layers, what supports them, what is doubtful, what it cost."""
    chosen = found.selection.layers
    if found.localized:
        lines = [f"{len(chosen)} of {len(found.names)} text layers decide the drawn word:"]
    else:
        lines = [found.says_not(), "The most decisive layers and what they carry of the effect on the first prediction:"]
        lines += [f"  {size} of {len(found.names)}: {100 * share:.0f} %" for size, share in found.curve]
    for layer in chosen if found.localized else ():
        mean, lower, upper = interval(found.ranking.scores[layer])
        lines.append(f"  {layer}: {found.names[layer]}   score {mean:.3f} (95 %: {lower:.3f} to {upper:.3f})")
    if found.ranking.note:
        lines.append(found.ranking.note)
    if found.ranking.papers is not None:
        best = found.ranking.papers_choice()
        lines.append(f"The paper's choice, the single layer with the highest F1: {best} (F1 {found.ranking.papers[best]:.3f}).")
    lines.append("Words read as the target half-way, of those that are read with all layers patched:")
    for layers, verdict in found.selection.verdicts.items():
        lines.append(f"  layers {_numbers(layers)}: {verdict.good} of {verdict.counted}{'' if verdict.decided else ', undecided'}")
    if found.selection.close:
        lines.append(f"Kept for what each alone fills of the first prediction: {_numbers(found.selection.close)}.")
    for kind, equal in (("equal", True), ("different", False)):
        counted = _by_length(found, sweep, equal)
        if counted[1]:
            lines.append(f"Pairs of {kind} length: {counted[0]} of {counted[1]} read as the target with the chosen layers.")
    lines += [f"In doubt: {doubt}." for doubt in found.selection.doubts]
    lines += _proof(found, len(sweep.pairs))
    cost = f" and {found.proof_calls} to test the answer" if found.proof_calls else ""
    kept = f" beside {found.spared} of a search before" if found.spared else ""
    lines.append(f"{found.strategy}: {found.model_calls} model calls{kept}{cost}, {found.seconds:.0f} s for the search.")
    drawing = sweep.drawing
    if drawing.fits < drawing.setting.rows:
        lines.append(f"The free memory has room for {drawing.fits} pictures in a batch, and {drawing.setting.rows} were allowed.")
    if drawing.rows < drawing.fits:
        lines.append(f"Memory ran out with {drawing.fits} pictures in a batch; {drawing.rows} fitted.")
    if sweep.store.problem:
        lines.append(sweep.store.problem)
    return "\n".join(lines)


class _Both:
    """First predictions, which no engine reads, of one sweep, and readings of another, on the same pairs from the top."""

    def __init__(self, sweep, judge):
        self.layers, self.pairs = judge.layers, judge.pairs
        self.closeness, self.slopes, self.readings = sweep.closeness, sweep.slopes, judge.readings


def _proof(found, pairs):
    """Lines on what is proven."""
    if not found.localized:
        return
    if found.test is None:
        yield "Not tested: the search has read the words above to choose by them, which proves nothing. Let it test the answer to be sure."
        return
    yield found.test.says()
    fresh, together = needed(found.strategy)
    if not found.test.sure and together is None:
        yield f"The strategy {found.strategy} looks at all word pairs. {_TESTABLE}"
    elif not found.test.sure and pairs < together:
        yield f"{fresh} words that the search has not seen, all read, make an answer sure: give {together} pairs; there were {pairs}."
    if found.evidence:
        yield from found.evidence.says()


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
    what = {"exhaustive": "effect on the word read", "gradients": "share of the effect"}
    return charts.layer_chart(scores, found.selection.layers, title, what.get(found.strategy, "share of the word lost without"))


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
