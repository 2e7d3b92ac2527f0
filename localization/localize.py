"""Localization of the text layers of a model, from word pairs to TEXT_LAYERS. [Staniszewski et al., section 4]

localize        ranks the layers by a strategy and selects the smallest set
Localization    the answer, with the figures that support it
report          the answer for people
"""

import time
from dataclasses import dataclass

from ..patching import families
from ..patching.text_layers import TextLayers
from .selection import Selection, select
from .strategies import STRATEGIES, Ranking


@dataclass(frozen=True)
class Localization:
    strategy: str
    text_layers: TextLayers
    ranking: Ranking
    selection: Selection
    names: tuple[str, ...]
    model_calls: int
    seconds: float


def localize(model, sweep, strategy):
    """sweep: of the same MODEL; strategy: a name of STRATEGIES. The selection reads the model's prediction half-way through the
    schedule, where a word is as legible as in the finished picture and costs half.

    Raises ValueError for an unknown strategy and when the model does not draw the words.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f'There is no strategy "{strategy}"; choose one of: {", ".join(STRATEGIES)}.')
    calls, started = sweep.drawing.model_calls, time.perf_counter()
    ranking = STRATEGIES[strategy](sweep)
    selection = select(sweep, ranking, sweep.half)
    names = sweep.drawing.names
    chosen = TextLayers(
        families.family_of(model).NAME,
        families.architecture(model),
        tuple(names[layer] for layer in selection.layers),
        scores={names[layer]: round(ranking.scores[layer], 4) for layer in selection.layers},
        source=f"localized, {strategy}, {len(sweep.pairs)} pairs, seed {sweep.drawing.setting.seed}",
    )
    return Localization(strategy, chosen, ranking, selection, names, sweep.drawing.model_calls - calls, time.perf_counter() - started)
