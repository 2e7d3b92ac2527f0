"""Where a target's text keys and values come from. Each way answers for a call of the source's run with {layer: [(rows, parts)]}:
numbers of rows of the batch, and their parts as attention.text_parts gives them, a row each.

OwnRun        the target sampled first, from the same noise: call n of it goes into call n of the source's run
SameLatents   the target's text on the source's latents, down to the deepest chosen layer
TextOnce      the same, once, where keys and values depend on the text alone
texts         for U-Nets, which project them in place: the target's embeddings themselves
gathered      hands a layer's text keys and values to a function while the model is called
"""

import math
from contextlib import contextmanager, suppress

import torch

from . import hook
from .comfy import foreign_state, random_state, weights_state
from .store import Store


class _Deepest(BaseException):
    """The deepest layer that was asked for is known; the rest of the model's call is not needed. No Exception: it is no fault, and what
    other nodes catch of those is not meant for it."""


@contextmanager
def gathered(modules, diffusion_model, options, names, keep, rows, stop=False):
    """Options for a call of the model in which keep(name, parts) gets each named layer's text keys and values. They are parts of what the
    model works with: who keeps them copies them. modules: hook.Modules; rows: how many the call has; stop:
    leave the call behind the deepest of the layers."""
    deepest = [name for name in modules.layers(diffusion_model, names) if name in names][-1]

    def told(name):
        def around(attention):
            keep(name, attention.text_parts())
            if stop and name == deepest:
                raise _Deepest
            return attention()

        return around

    around = {name: told(name) for name in names}
    with suppress(_Deepest), hook.attentions(modules, diffusion_model, options, around, rows) as inside:
        yield inside


class OwnRun:
    """Text keys and values of a run of the target. Calls belong together by the sampler's evaluation in which they are, and by how many
    rows of the same entry came before in it, so that it does not matter how ComfyUI splits an evaluation to save memory."""

    def __init__(self):
        self.layers = set()  # those that any call of the run went through
        self._levels = []  # of the target's evaluations
        self._kept = set()  # evaluations of which something is kept
        self._store = Store()

    @contextmanager
    def keeping(self, modules, call, names, evaluation, counts, to_come):
        """Options for a call of the target's run. evaluation: its number; counts: {entry: how many of its rows came before in this
        evaluation}; to_come: how many steps follow."""
        groups, records = call.groups(), {}

        def keep(name, parts):
            for entry, rows in groups.items():
                records[(*entry, evaluation, name, counts[entry])] = tuple(part[rows] for part in parts)
            self.layers.add(name)

        with gathered(modules, call.diffusion_model, call.options, names, keep, len(call.x)) as options:
            yield options
        self._kept.add(evaluation)
        self._store.add(records, to_come / len(self._kept))

    def evaluated(self, level):
        self._levels.append(level)

    def check(self, evaluation, level):
        """Raises RuntimeError where this evaluation of the source's run is none of the target's."""
        if evaluation >= len(self._levels) or not math.isclose(self._levels[evaluation], level, rel_tol=1e-5, abs_tol=1e-9):
            raise RuntimeError(
                "The target's own run and the source's came to different noise levels, so that their calls do not belong together: this "
                "sampler chooses its steps by what it draws (dpm_adaptive does). Take another sampler, or the method that evaluates the "
                "target on the source's latents."
            )

    def targets(self, groups, name, evaluation, counts):
        """[(rows, parts)] of a layer in a call of the source's run, whose rows are in groups."""
        return [(rows, self._rows((*entry, evaluation, name), counts[entry], len(rows))) for entry, rows in groups.items()]

    def _rows(self, key, first, count):
        kind, number, evaluation, name = key
        for before in range(evaluation, -1, -1):  # what a cache left out of the target's run goes on as it was, as in the cache itself
            found = self._in((kind, number, before, name), first, count)
            if found is not None:
                return found
        raise RuntimeError(
            f"The source's run asks text layer {name} for keys and values of the target that its own run has not had: another node leaves "
            "out calls of the model (a cache does), or calls it differently in the two runs. Remove it, let it begin later, or take the "
            "method that evaluates the target on the source's latents."
        )

    def _in(self, key, first, count):
        """Rows `first` and on of one entry, evaluation and layer: of one call, or of several one after another."""
        found = []
        while count:
            start, parts = next(((n, p) for n, p in self._store.pieces(key) if n <= first < n + len(p[0])), (0, None))
            if parts is None:
                return None
            taken = min(count, start + len(parts[0]) - first)
            found.append(tuple(part[first - start : first - start + taken] for part in parts))
            first, count = first + taken, count - taken
        return found[0] if len(found) == 1 else tuple(map(torch.cat, zip(*found, strict=True)))


class SameLatents:
    """Evaluates the target's text in the source's call, before it: nothing is kept.

    changes: {(kind, number): Changed}, for all entries whose rows are evaluated; given: those of them that have a target.
    """

    def __init__(self, changes, given):
        self._changes, self._given = changes, given

    def has_target(self, call):
        """Whether any row of a call takes other text."""
        return not self._given.isdisjoint(call.groups())

    def answer(self, modules, call, names):
        """Raises RuntimeError where another node would take the additional call for one of the sampler's."""
        if state := foreign_state(call.options, modules.all(call.diffusion_model)):
            way_out = "Take the own run of the target, or remove" if modules.family.evolves else "Remove"
            raise RuntimeError(
                f"Another node may remember the calls of the model ({state}), and the target's text needs one beside the sampler's own, "
                f"after which that node would go on wrongly. {way_out} the other node."
            )
        entries = {row: entry for entry, rows in call.groups().items() for row in rows if entry in self._changes}
        arguments = sorted({name for entry in entries.values() for name in self._changes[entry].conds})
        by_sizes = {}
        for row, entry in sorted(entries.items()):
            by_sizes.setdefault(self._changes[entry].sizes(arguments), []).append(row)
        answer = {}
        for where in by_sizes.values():  # texts of different length cannot share a call
            if any(entries[row] in self._given for row in where):
                self._evaluate(modules, call, names, {row: entries[row] for row in where}, answer)
        return answer

    def _evaluate(self, modules, call, names, entries, answer):
        wanted = [place for place, entry in enumerate(entries.values()) if entry in self._given]
        rows = [list(entries)[place] for place in wanted]

        def keep(name, parts):
            answer.setdefault(name, []).append((rows, tuple(part[wanted] for part in parts)))

        with (
            random_state(call.x.device),
            gathered(modules, call.diffusion_model, call.options, names, keep, len(entries), stop=True) as options,
        ):
            call.beside({row: self._changes[entry] for row, entry in entries.items()}, options)


class TextOnce(SameLatents):
    """Keys and values that depend on the text alone are taken once, and anew when the model's weights have changed since."""

    def __init__(self, changes, given):
        super().__init__(changes, given)
        self._kept = {}  # (state of the weights, entry, number of rows) -> {layer: parts}

    def answer(self, modules, call, names):
        weights = weights_state(call.model)
        groups = {(weights, entry, len(rows)): rows for entry, rows in call.groups().items() if entry in self._given}
        if any(key not in self._kept for key in groups):
            self._keep(super().answer(modules, call, names), groups)
        answer = {}
        for key, rows in groups.items():
            for name, parts in self._kept[key].items():
                if name in names:
                    answer.setdefault(name, []).append((rows, parts))
        return answer

    def _keep(self, answer, groups):
        for key, rows in groups.items():
            kept = {}
            for name, targets in answer.items():
                given = {row: [part[place] for part in parts] for taken, parts in targets for place, row in enumerate(taken)}
                kept[name] = tuple(map(torch.stack, zip(*(given[row] for row in rows), strict=True)))
            self._kept[key] = kept


def texts(call, given):
    """[(rows, embeddings [n, tokens, channels])] of a U-Net's call. given: {(kind, number): Changed} of the entries with a target."""
    found = []
    for entry, rows in call.groups().items():
        if entry in given:
            found.append((rows, call.by_row(given[entry].get("c_crossattn"), len(rows)).cond))
    return found


def with_texts(context, targets):
    """A U-Net's text [B, tokens, channels] with some rows replaced, as `texts` gives them. Prompts of different length are repeated to
    the least common multiple: attention over repeated keys and values is unchanged."""
    lengths = [embeddings.shape[1] for _, embeddings in targets]
    replaced = sum(len(rows) for rows, _ in targets)
    tokens = math.lcm(*lengths, *(() if replaced == len(context) else (context.shape[1],)))
    own = context.new_empty(len(context), tokens, context.shape[2]) if replaced == len(context) else _repeated(context, tokens).clone()
    for rows, embeddings in targets:
        own[rows] = _repeated(embeddings, tokens).to(own)
    return own


def _repeated(embeddings, tokens):
    return embeddings.repeat(1, max(1, tokens // embeddings.shape[1]), 1)
