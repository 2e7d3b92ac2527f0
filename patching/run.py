"""What one sampling run knows while it goes on.

CapturingRun   the target's own run: its text keys and values are kept
SwappingRun    the source's run: the target's are put in
"""

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from . import hook
from .attention import mixed, with_rows
from .call import Changed
from .conditioning import encoded
from .place import Steps, entries_of, rows_of
from .target import SameLatents, TextOnce, texts, with_texts
from .watch import Watch


class _Run:
    """steps: where the run is in its schedule; evaluation: number of the sampler's evaluation of the model, each of which may be several
    calls; level: its noise level; counts: how many entries the sampler's conditioning has by kind; given: what else the run was told."""

    def __init__(self, patches):
        self.patches = patches
        self.modules = hook.Modules(patches[0].family) if patches else None
        self.steps = Steps(())  # the sampler's, from begin on
        self.evaluation, self.level, self.entries = -1, None, []
        self.counts, self.given = {}, {}
        self._asked, self._done = ({patch: set() for patch in patches} for _ in range(2))  # layers that should be, and were, reached
        self._expected, self._met = set(), set()  # patches that were at work, and those that had a prompt to work on
        self._rows = 0
        self._before = Counter()  # entry -> how many of its rows this evaluation has had
        self._lock = threading.Lock()  # ComfyUI calls the model in a thread for each card

    def __deepcopy__(self, memo):
        return self

    def begin(self, guider, sigmas, noise, **given):
        """The model is loaded and has encoded the conditioning; sigmas, noise and what is given are the sampler's."""
        self.steps = Steps(sigmas)
        self.entries = entries_of(guider.conds, self.counts)

    def evaluate(self, x, timestep):
        """The sampler evaluates the model on x [rows, ...]."""
        self.evaluation += 1
        self.level, self._rows = float(timestep.max()), len(x)
        self.steps.move(self.level)
        self._expected.update(filter(self.at_work, self.patches))
        self._before.clear()

    def predict(self, model, x, sigma):
        """What the sampler gets of model(x)."""
        return model(x)

    def end(self, drawn):
        """The run's latents, at its end."""
        return drawn

    def at_work(self, patch):
        start = patch.begin(self.steps.number)
        return start == 0 or self.steps.reached(start)

    def find_rows(self, call):
        """Says whose each of the call's rows is. Returns how many of each entry's rows came before in this evaluation."""
        sides, uuids = call.options["cond_or_uncond"], call.options["uuids"]
        call.rows, call.in_order = rows_of(self.entries, call.given, sides, uuids, len(call.x), self._rows, self._alike)
        with self._lock:
            before = Counter(self._before)
            self._before.update({entry: len(rows) for entry, rows in call.groups().items()})
        return before

    def _meet(self, patch, groups):
        """Notes whether a call has prompts that have a target: another guider may have kinds of its own."""
        if any(patch.target.get(kind) is not None for kind, _ in groups):
            self._met.add(patch)

    def _alike(self, a, b):
        """Whether two entries have the same target, so that it does not matter which of them a row is."""
        one_for_all = all(patch.target.get(a.kind) is None or len(patch.target[a.kind]) == 1 for patch in self.patches)
        return a.kind == b.kind and (a.number == b.number or one_for_all)

    def check(self):
        """The run has ended. Raises RuntimeError where a patch was at work and has changed nothing, wholly or in a layer: better no picture
        than an unchanged one."""
        for patch in self.patches:
            start = patch.begin(self.steps.number)
            missing = [name for name in patch.text_layers.names if name in self._asked[patch] - self._done[patch]]
            if missing:
                raise RuntimeError(
                    f"The attention of text layer {missing[0]} was not called for the target from step {start} on: another node "
                    "leaves the layer out, has an attention of its own there, or skips these steps. Remove it, or let it begin later."
                )
            if patch not in self._expected:
                patch.notice(f"The run ended before step {start}, from which on the target is at work: nothing was changed.")
            elif patch not in self._met:
                raise RuntimeError(
                    f"Text layer {patch.text_layers.names[0]} has not had the target's text: from step {start} on no call of the "
                    "model that carried the sampler's prompts came to us. Another node calls the model in its own way, gives it prompts of "
                    "its own, or skips these steps; or the prompt has a time range that ends before. Remove the node, or begin earlier."
                )


class CapturingRun(_Run):
    """The target's own run; what is kept of it goes into own_run."""

    def __init__(self, patch, own_run):
        super().__init__([patch])
        self._patch, self._own_run = patch, own_run

    def evaluate(self, x, timestep):
        super().evaluate(x, timestep)
        self._own_run.evaluated(self.level)

    @contextmanager
    def options(self, call):
        patch = self._patch
        if not self.at_work(patch):
            yield call.options
            return
        names, before = patch.text_layers.names, self.find_rows(call)
        self._meet(patch, call.groups())
        if call.groups():
            self._asked[patch].update(names)
        with self._own_run.keeping(self.modules, call, names, self.evaluation, before, self.steps.to_come) as options:
            yield options
        self._done[patch].update(self._own_run.layers)


class SwappingRun(_Run):
    """The source's run. own_runs: {patch: OwnRun} of those that have one; texted: {patch: {kind: the source's entries with the target's
    text}}."""

    def __init__(self, patches, own_runs, texted):
        super().__init__(patches)
        self._own_runs, self._texted = own_runs, texted
        self._targets = {}  # patch -> what answers with its text keys and values; for U-Nets {entry: Changed}
        self._watch = None

    def begin(self, guider, sigmas, noise, **given):
        super().begin(guider, sigmas, noise, **given)
        self._watch = Watch.of(self.patches, guider, noise, given.get("latent_image"), given.get("denoise_mask"), self.counts)
        for patch in self.patches:
            if patch in self._own_runs:
                continue
            changes, with_target = self._changes(patch, guider, noise, given)
            if patch.family.injects:
                self._targets[patch] = {entry: changes[entry] for entry in with_target}
            else:
                self._targets[patch] = (SameLatents if patch.family.evolves else TextOnce)(changes, with_target)

    def _changes(self, patch, guider, noise, given):
        """({entry: Changed} of the sampler's entries, those of them that have a target)."""
        changes, with_target = {}, set()
        for kind in patch.target:
            source = guider.conds.get(kind, [])[: self.counts.get(kind, 0)]
            carried = [entry["model_conds"] for entry in source]
            others, texted = carried, self._texted[patch].get(kind)
            if texted is not None:
                device = guider.model_patcher.load_device
                others = encoded(guider.inner_model, kind, source, texted, noise, device, **given, **self.given)
                with_target.update((kind, number) for number in range(len(source)))
            changes.update({(kind, number): Changed(*pair) for number, pair in enumerate(zip(carried, others, strict=True))})
        return changes, with_target

    def predict(self, model, x, sigma):
        if self._watch is None or not any(map(self.at_work, self.patches)):
            return model(x)
        return self._watch.predict(model, x, sigma)

    def end(self, drawn):
        return drawn if self._watch is None else self._watch.keep.end(drawn)

    @contextmanager
    def options(self, call):
        if self._watch is not None and self._watch.bare:
            yield self._watch.beside(self.modules, call)
            return
        at_work = [patch for patch in self.patches if self.at_work(patch)]
        before = self.find_rows(call) if at_work else None
        around, contexts, mixtures, taken = {}, {}, {}, set()
        for patch in reversed(at_work):  # on a layer of several the last one counts
            names = [name for name in patch.text_layers.names if name not in taken]
            taken.update(names)
            if not names:
                self._met.add(patch)
                continue
            see = None if self._watch is None else self._watch.seeing(patch, call, before)
            if patch.family.injects:
                targets = texts(call, self._targets[patch])
                asked = bool(targets)
                if targets:
                    contexts.update((name, partial(self._text, patch, name, targets)) for name in names)
                    rows = [row for rows, _ in targets for row in rows]
                    for name in names:
                        if name in patch.text_layers.heads or (see and not hook.is_replaced(call.options, name)):
                            mixtures[name] = partial(_mix, w=patch.weights[name], see=see, rows=rows)
            else:
                answers, asked = self._answers(patch, call, names, before)
                around.update((name, partial(self._swap, patch, name, see, answer)) for name, answer in answers.items())
            if asked:
                self._meet(patch, call.groups())
                self._asked[patch].update(names)
        if not around and not contexts:
            yield call.options
            return
        options = call.options
        with ExitStack() as stack:
            if contexts:
                options, beside = stack.enter_context(hook.contexts(self.modules, call.diffusion_model, options, contexts, mixtures))
                assert self.modules is not None  # there are patches, so there is their family
                layers = self.modules.layers(call.diffusion_model, mixtures)
                around.update((name, partial(mix, layers[name], beside, name)) for name, mix in mixtures.items())
            if around:
                options = stack.enter_context(hook.attentions(self.modules, call.diffusion_model, options, around, len(call.x)))
            yield options

    def _answers(self, patch, call, names, before):
        """({layer: function that gives its [(rows, parts)]}, whether any row of the call has a target)."""
        if patch in self._own_runs:
            own_run, groups = self._own_runs[patch], call.groups()
            own_run.check(self.evaluation, self.level)
            asked = names if groups else ()
            return {name: partial(own_run.targets, groups, name, self.evaluation, before) for name in asked}, bool(groups)
        target = self._targets[patch]
        answer = target.answer(self.modules, call, names)
        return {name: partial(answer.get, name) for name in answer}, target.has_target(call)

    def _swap(self, patch, name, see, targets, attention):
        found = targets()
        for rows, parts in found if see else ():
            source = attention.rows(rows)
            see(rows, source, source.with_text(*parts))
        out = with_rows(attention, [(rows, parts, patch.weights[name]) for rows, parts in found])
        self._done[patch].add(name)
        return out

    def _text(self, patch, name, targets, context):
        out = with_texts(context, targets)
        self._done[patch].add(name)
        return out


def _mix(module, beside, name, attention, w, see, rows):
    """A U-Net's attention with both texts. rows: those that have a target, which `see`, where there is one, looks at."""
    k, v = hook.projected(module, *beside.pop(name))
    target = replace(attention, k=k, v=v)
    if see:
        see(rows, attention.rows(rows), target.rows(rows))
    return mixed(attention, target, w)
