"""Where a call of the model is: at which step of its run, and what each row of its batch carries.

Steps       the step, by its place in the run's own schedule
rows_of     the entry of the run's conditioning in each row, by what the row carries
entries_of  all of them
Unknown     the answer where it cannot be known

Nothing is guessed: a patch that depends on what is not known is refused.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import comfy.conds
import torch


class Unknown(RuntimeError):
    """It cannot be known which step or which prompt a call of the model belongs to; the message says what to do."""


class Steps:
    """The steps of one sampling run. sigmas: its schedule, which may fall or rise, restart, repeat a level, and begin with zeros that the
    sampler leaves out (packs pad a schedule with one, so that no noise is added).

    A call of the model belongs to the step in whose span its noise level lies, and a level at which a step begins to that step. Where it
    lies in several spans, the order of the run decides: from one step only the next can follow, which begins at its own level.
    """

    def __init__(self, sigmas):
        self._levels = [float(sigma) for sigma in sigmas]
        self._last = len(self._levels) - 2
        self._at = -1  # the step of the last evaluation, as a place in the schedule; before the first, -1
        self._told = -1  # the place of which the sampler's callback told last
        self._padding = 0

    @property
    def number(self):
        """How many steps the run has; which zeros the sampler leaves out is known from its first evaluation on."""
        return self._last + 1 - self._padding

    @property
    def to_come(self):
        """How many steps follow the present one."""
        return self._last - self._at

    def tell(self):
        """The sampler's callback: the first evaluation of this step is done."""
        self._told = self._at

    def move(self, level):
        """The sampler evaluates the model at this level; until it does again, all calls belong to the same step."""
        fits = self._fitting(level)
        if self._at < 0:
            self._padding = self._zeros_left_out(level)
            fits = [place for place in fits if place >= self._padding] or fits
            places = fits[:1] if self._padding in fits else fits
        elif len(fits) > 1:
            places = self._in_order(level, fits)
        else:
            places = fits
        self._at = places[0]
        self._places = [place - self._padding for place in places]

    def reached(self, start):
        """Whether the run is at step `start` or a later one. Raises Unknown where it may be either."""
        answers = {step >= start for step in self._places}
        if len(answers) > 1:
            raise Unknown(
                f"This sampler's schedule comes to the noise level {self._levels[self._at]:.4g} several times, and it does not say in "
                f"which step it is, so that step {start} cannot be told from others. Begin at step 0, or take another sampler."
            )
        return answers.pop()

    def _fitting(self, level):
        """All places of the schedule at which this level can be."""
        spans = enumerate(pairwise(self._levels))
        fits = [n for n, (a, b) in spans if _same(level, a) or (min(a, b) < level < max(a, b) and not _same(level, b))]
        if fits:
            return fits
        # The run's end, or beyond the schedule: noise that a sampler adds before a step.
        nearest = min(self._levels, key=lambda known: abs(known - level))
        fits = [min(n, self._last) for n, known in enumerate(self._levels) if known == nearest]
        return sorted(set(fits))

    def _zeros_left_out(self, level):
        zeros = 0
        while zeros < self._last and self._levels[zeros] == 0 and not _same(level, 0.0):
            zeros += 1
        return zeros

    def _in_order(self, level, fits):
        here, following = self._at, self._at + 1
        begins = following in fits and _same(level, self._levels[following])
        if begins and here in fits and _same(level, self._levels[here]):  # two levels that are equal
            if self._told < 0:
                return [here, following]
            return [following] if self._told == here else [here]
        if begins:
            return [following]
        if here in fits:
            # Noise that brings a run back to an earlier level is no evaluation: the step may be begun anew, or one behind it.
            again = self._told == here and _same(level, self._levels[here])
            return [here, *(place for place in fits if again and place > here and _same(level, self._levels[place]))]
        if following in fits:
            return [following]
        return [place for place in fits if place > here] or fits


def _same(a, b):
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-9)


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of a run's conditioning. kind: "positive", "negative" or another guider's; number: in its kind; carries: what the model is
    given for it, name -> comfy.conds' object."""

    kind: str
    number: int
    uuid: object
    carries: dict

    def in_row(self, given, row):
        """Whether a row of a call carries what this entry gives: {argument: value for the whole batch}."""
        compared = 0
        for name, cond in self.carries.items():
            # Others are cut to an area, or the same for all rows.
            if type(cond) not in (comfy.conds.CONDRegular, comfy.conds.CONDCrossAttn) or not torch.is_tensor(cond.cond):
                continue
            value = given.get(name)
            if not torch.is_tensor(value) or value.ndim == 0 or row >= len(value) or not _holds(value[row], cond.cond):
                return False
            compared += 1
        return compared > 0


def _holds(value, own):
    """Whether a row's value is one of an entry's; texts are repeated where they share a call with longer ones."""
    if value.ndim != own.ndim - 1 or value.shape[1:] != own.shape[2:] or value.ndim == 0:
        return own.shape[1:] == value.shape and bool((own.to(value) == value).any())
    if value.shape[0] % own.shape[1]:
        return False
    return any(torch.equal(value[: own.shape[1]], one) for one in own.to(value))


def entries_of(conds, counts):
    """Entries of a run's conditioning: {kind: dicts as the run has encoded them}; counts: {kind: how many came from the sampler}.

    Where one side has areas, ComfyUI adds entries to the other: with the uuid of the first, and what the model is given for one of the
    second's own entries, which is the one that counts.
    """
    entries = []
    for kind, found in conds.items():
        carried = [cond["model_conds"] for cond in found]
        for cond, carries in zip(found, carried, strict=True):
            number = next(n for n, other in enumerate(carried) if _is_same(other, carries))
            if number < counts.get(kind, 0):
                entries.append(Entry(kind, number, cond["uuid"], carries))
    return entries


def _is_same(a, b):
    return a.keys() == b.keys() and all(a[name] is b[name] for name in a)


def rows_of(entries, given, sides, uuids, rows, rows_of_run, alike):
    """(for each row of a call its Entry, or None for a prompt that is none of the run's (Perp-Neg brings one of its own); whether each
    entry has one row for each picture of the run, in their order).

    given: the model's arguments; sides, uuids: ComfyUI's `cond_or_uncond` and `uuids`, one for each chunk of rows; rows: of the call;
    rows_of_run: as many as the sampler's latents have; alike(entry, entry): whether it does not matter which of two it is.

    What a row carries counts. ComfyUI's own order is asked first, because it is the right one unless a node makes the batch anew (tiles,
    doubles, reorders it), and because another node may change a text on its way. Raises Unknown for a row that cannot be told.
    """
    chunk, rest = divmod(rows, len(sides))
    in_order = rest == 0 and chunk <= rows_of_run
    declared = [_declared(entries, uuid, side) for uuid, side in zip(uuids, sides, strict=True)]
    found, lost, moved = [], [], not in_order
    for row in range(rows):
        said = declared[row // chunk] if in_order else []
        carried = [entry for entry in said if entry.in_row(given, row)]
        if not carried:
            carried = [entry for entry in entries if entry.in_row(given, row)]
            moved = moved or bool(carried and said)
            if not all(alike(entry, carried[0]) for entry in carried):
                raise Unknown(_UNKNOWN.format(rows, row, "which several of the sampler's prompts have"))
        if not carried:
            lost.append(row)
        found.append(carried[0] if carried else said[0] if said else None)
    if moved and in_order:  # then the order says nothing of the other rows either
        return rows_of(entries, given, sides, uuids, rows, 0, alike)
    if lost and moved:
        raise Unknown(_UNKNOWN.format(rows, lost[0], "which none of the sampler's prompts has"))
    return found, not moved and chunk == rows_of_run


_UNKNOWN = (
    "Another node has made the batch of the model's call anew ({} rows), and row {} of it carries a text {}, so that it cannot be known "
    "which prompt belongs there. Remove the node that changes prompts or the batch (tiles do)."
)


def _declared(entries, uuid, side):
    """The entries that ComfyUI names, the likeliest first. Guiders with more than two sides count them as they like; with two, the
    positive one comes first."""
    kind = ("positive", "negative")[side] if side < 2 else "positive"
    return sorted((entry for entry in entries if entry.uuid == uuid), key=lambda entry: entry.kind != kind)
