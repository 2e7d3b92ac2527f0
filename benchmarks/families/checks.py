"""Does patching do what it should on every text-to-image class of ComfyUI? `python dev.py run benchmarks.families --out FILE.json`

On tiny random models, through the real sampler, judged by attention_probe, which knows nothing of patching/:
a. the text layers are the attention calls of the picture on the text, in execution order
b. patching one layer changes the text's keys and values there, to those of the target's run, and nothing else up to there
c. all layers with the source's text encoded again as target are bit-identical to unpatched, whatever other nodes gave the source, as are
   start = steps and the model afterwards
d. the output is that of a second implementation, and far from what wrong variants of it give
e. the same in batches, without CFG, with CFG's halves in two calls and with texts of different length
f. with keep, where the text is drawn is where a second reckoning of the attention says, and outside of it are the source's latents
g. c and d for two entries with masks and two targets, where the source has what other nodes give (two guidance values, references, a hole)
"""

import argparse
import json
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import comfy.sample
import torch

from ...patching import keep, models
from ...patching.drawn import DRAWN
from ...patching.patch import METHODS, patch_prompt
from ...testing.attention_probe import recorded, replayed
from ...testing.tiny_models import MODELS, NEWER, TinyModel

STEPS = 2
# Of what patching changes: both implementations do the same float operations in another order.
TOLERANCE = 1e-3
NEGATIVE = (2, 3)  # numbers of prompts


@dataclass(frozen=True)
class Bench:
    """One tiny model and its prompts: source, target, negative and target's negative."""

    tiny: TinyModel
    model: object
    rows: int = 1
    cfg: float = 4.0
    lengths: tuple[int, int, int, int] = (10, 10, 10, 10)
    memory_is_short: bool = False
    entries: int = 0  # of a prompt with what other nodes give; two have masks

    @property
    def diffusion_model(self):
        return self.model.model.diffusion_model

    @property
    def names(self):
        return models.layer_names(self.model)

    @property
    def methods(self):
        """Those that differ."""
        return METHODS if models.family_of(self.model).evolves else METHODS[:1]

    def prompt(self, which, beside=True):
        """CONDITIONING of the source, or the target as if it stood in the source's place. beside: with what other nodes give."""
        beside = beside and self.entries > 0
        first, second = (self.tiny.conditioning(which + 10 * n, self.lengths[which], number=n if beside else None)[0] for n in (0, 1))
        if self.entries < 2 or which in NEGATIVE:
            return [first]
        left = torch.zeros(self.tiny.latent[1:])
        left[..., : left.shape[-1] // 2] = 1
        return [
            [embeddings, {**extra, "mask": mask, "mask_strength": 1.0, "set_area_to_bounds": False}]
            for (embeddings, extra), mask in ((first, left), (second, 1 - 0.7 * left))
        ]

    def encoded(self, which):
        """CONDITIONING of the text alone, encoded anew, as a target comes to us."""
        seeds = [which + 10 * n for n in range(2 if self.entries == 2 and which not in NEGATIVE else 1)]
        return [self.tiny.encoded(seed, self.lengths[which])[0] for seed in seeds]

    def draw(self, positive, model=None, steps=STEPS, negative=2):
        base = self.model.model
        factor = base.memory_usage_factor
        base.memory_usage_factor = 1e15 if self.memory_is_short else factor
        noise = self.tiny.noise(self.rows)
        try:
            drawn = comfy.sample.sample(
                model or self.model, noise, steps, self.cfg, self.tiny.sampler, "simple", positive, self.prompt(negative),
                self.tiny.nothing(noise), disable_pbar=True, seed=1,
            )  # fmt: skip
            return self.tiny.together(drawn)
        finally:
            base.memory_usage_factor = factor

    def edit(self, layers, **options):
        chosen = models.written(self.model, ", ".join(layers))
        return patch_prompt(self.model, chosen, self.encoded(1), self.encoded(3), **options)

    def same(self, **options):
        """All layers with the source's own text."""
        return patch_prompt(self.model, models.written(self.model, ", ".join(self.names)), self.encoded(0), self.encoded(2), **options)

    def text(self, call):
        """Where the text's tokens stand among a call's keys; None for an attention without text or without picture."""
        keys, queries = call.k.shape[2], call.q.shape[2]
        pictures = self.tiny.picture if isinstance(self.tiny.picture, tuple) else (self.tiny.picture,)
        pictures = [picture + more for picture in pictures for more in ((self.tiny.reference, 0) if self.entries else (0,))]
        lengths = {self.tiny.text(n) for n in self.lengths} | {n * m for n in map(self.tiny.text, self.lengths) for m in (2, 3)}
        for picture in pictures:
            if self.tiny.place == "all" and queries == picture and keys in lengths:
                return slice(0, keys)
            if self.tiny.place != "all" and queries >= picture and keys - picture - self.tiny.behind in lengths:
                return slice(0, keys - picture) if self.tiny.place == "first" else slice(picture, keys - self.tiny.behind)
        return None


def text_calls(bench, calls):
    return [call for call in calls if bench.text(call) is not None]


def layer_of(bench, call):
    return next((name for name in bench.names if name in call.modules), None)


def a(bench):
    bench = replace(bench, cfg=1.0)
    with recorded(bench.diffusion_model) as calls:
        bench.draw(bench.prompt(0), steps=1)
    seen = [layer_of(bench, call) for call in text_calls(bench, calls)]
    assert seen == bench.names, f"attention on text is seen in {seen}, the text layers are {bench.names}"
    assert len(seen) == bench.tiny.layers, f"{len(seen)} layers, {bench.tiny.layers} were expected"
    if bench.tiny.pools:
        return
    # Up to the first layer, nothing but the text's keys depends on the embeddings.
    (_, extra), (other, _) = bench.prompt(0)[0], bench.prompt(1)[0]
    with recorded(bench.diffusion_model) as others:
        bench.draw([[other, extra]], steps=1)
    first, second = (text_calls(bench, c)[0] for c in (calls, others))
    text = bench.text(first)
    for n in range(first.k.shape[2]):
        if not text.start <= n < text.stop:
            assert torch.equal(first.k[:, :, n], second.k[:, :, n]), f"the keys of the text are at {text}, but {n} is one"


def b(bench):
    bench = replace(bench, cfg=1.0)

    def calls_of(prompt, model=None):
        with recorded(bench.diffusion_model) as calls:
            bench.draw(prompt, model, steps=1)
        return calls

    source, target = calls_of(bench.prompt(0)), calls_of(bench.prompt(1))
    for name in bench.names:
        patched = calls_of(bench.prompt(0), bench.edit([name]))[-len(source) :]
        before = True
        for got, plain, other in zip(patched, source, target, strict=True):
            text = bench.text(plain)
            if layer_of(bench, plain) == name and text is not None:
                before = False
                for part in ("k", "v"):
                    x, s, t = (getattr(call, part) for call in (got, plain, other))
                    assert torch.equal(x[:, :, text], t[:, :, text]), f"text {part} of {name} are not the target's"
                    rest = [n for n in range(s.shape[2]) if not text.start <= n < text.stop]
                    assert torch.equal(x[:, :, rest], s[:, :, rest]), f"other {part} of {name} have changed"
                    assert not torch.equal(s[:, :, text], t[:, :, text]), "source and target do not differ"
                assert torch.equal(got.q, plain.q), f"queries of {name} have changed"
            elif before:
                assert all(torch.equal(getattr(got, p), getattr(plain, p)) for p in "qkv"), f"{name} changes what comes before it"
        assert not before, f"{name} is not among the attention calls"


def c(bench):
    bench = replace(bench, entries=1)
    plain = bench.draw(bench.prompt(0))
    for method in bench.methods:
        same = bench.draw(bench.prompt(0), bench.same(method=method))
        assert torch.equal(same, plain), f"source = target is not the unpatched picture ({method}), {(same - plain).abs().max():.1e} off"
    late = bench.edit(bench.names, start=STEPS)
    assert torch.equal(bench.draw(bench.prompt(0), late), plain), "start = steps is not the unpatched picture"
    assert not torch.equal(bench.draw(bench.prompt(0), bench.edit(bench.names)), plain), "patching all layers changes nothing"
    assert torch.equal(bench.draw(bench.prompt(0)), plain), "the model is not what it was"


RIGHT, QUERIES, PICTURE, HALF = "right", "queries too", "picture's tokens too", "one CFG half"
EXCHANGED, TEXT_ONLY = "entries exchanged", "text only"


def second(bench, layers, variant=RIGHT, steps=STEPS):
    """The picture by recording the target's run and replaying parts of it in the source's, call by call."""
    prompt = bench.prompt(1, beside=variant != TEXT_ONLY)
    if variant == EXCHANGED:
        prompt = [
            [other[0], extra | {k: other[1][k] for k in bench.encoded(1)[0][1]}]
            for other, (_, extra) in zip(prompt[::-1], prompt, strict=True)
        ]
    with recorded(bench.diffusion_model) as target:
        bench.draw(prompt, steps=steps, negative=3)
    waiting = {}  # calls of the target's run, for each side of CFG and layer in their order
    for call in text_calls(bench, target):
        waiting.setdefault((call.sides, layer_of(bench, call)), []).append(call)

    def change(call):
        text, layer = bench.text(call), layer_of(bench, call)
        if text is None or layer not in layers:
            return call
        given = waiting[call.sides, layer].pop(0)
        theirs = bench.text(given)
        if variant == HALF and call.sides == (1,):
            return call
        if variant == HALF and bench.cfg != 1 and len(call.sides) > 1:
            half = len(call.k) // 2
            given = replace(given, k=torch.cat([call.k[:half], given.k[half:]]), v=torch.cat([call.v[:half], given.v[half:]]))

        def joined(own, new, axis=2):
            if variant == PICTURE:
                return new
            size = own.shape[axis]
            parts = own.narrow(axis, 0, text.start), new.narrow(axis, theirs.start, theirs.stop - theirs.start)
            return torch.cat([*parts, own.narrow(axis, text.stop, size - text.stop)], axis)

        if variant == QUERIES:
            call.q = given.q
        mask = call.mask
        if mask is not None and given.mask is not None:
            rows = mask if mask.shape[-2] == 1 else mask[..., -1:, :]
            mask = joined(rows, given.mask[..., -1:, :], rows.ndim - 1)
        call.k, call.v, call.mask = joined(call.k, given.k), joined(call.v, given.v), mask
        return call

    with replayed(bench.diffusion_model, change):
        return bench.draw(bench.prompt(0), steps=steps)


def compared(bench, layers):
    """(ours, second implementation, size of what patching changes)."""
    plain = bench.draw(bench.prompt(0))
    ours = bench.draw(bench.prompt(0), bench.edit(layers))
    # Where texts differ in length ComfyUI may call the model for both halves of CFG together in one run and not in the other, which the
    # second implementation cannot follow: it has them apart in both.
    apart = replace(bench, memory_is_short=bench.memory_is_short or len(set(bench.lengths)) > 1)
    theirs = second(apart, layers)
    size = (theirs - plain).abs().max().item()
    assert size > 1e-4 * plain.abs().max().item(), "patching changes nothing"
    return ours, theirs, size


def d(bench):
    middle = len(bench.names) // 2
    layers = [bench.names[middle]]
    ours, theirs, size = compared(bench, layers)
    error = (ours - theirs).abs().max().item()
    assert error <= TOLERANCE * size, f"off by {error / size:.1e} of the change"
    neighbour = bench.names[middle - 1] if middle else bench.names[-1]
    wrong = {
        variant: second(bench, layers, variant) for variant in (QUERIES, PICTURE, HALF) if bench.tiny.place != "all" or variant != PICTURE
    }
    wrong["off-by-one layer"] = second(bench, [neighbour])
    for variant, picture in wrong.items():
        distance = (ours - picture).abs().max().item()
        assert distance > 10 * TOLERANCE * size, f"{variant} gives the same picture ({distance / size:.1e} of the change)"


def e(bench):
    cases = {
        **({"batch of 2": replace(bench, rows=2)} if bench.tiny.batches else {}),
        "CFG 1": replace(bench, cfg=1.0),
        "CFG's halves apart": replace(bench, memory_is_short=True),
    }
    if bench.tiny.length_matters:
        n = bench.tiny.tokens
        cases |= {"longer target": replace(bench, lengths=(n, n + 3, n, n)), "shorter target": replace(bench, lengths=(n, n - 3, n, n)),
                  "other negative": replace(bench, lengths=(n, n + 3, n + 1, n - 1))}  # fmt: skip
    layers = bench.names[:: max(1, len(bench.names) // 2)]
    for case, changed in cases.items():
        ours, theirs, size = compared(changed, layers)
        error = (ours - theirs).abs().max().item()
        assert error <= TOLERANCE * size, f"{case}: off by {error / size:.1e} of the change"


TOKENS = ([3, 4], [4, 5])  # of the source's drawn text, and of the target's


def attention_to(call, text, tokens):
    """[pictures' tokens] of a recorded call of one row, mean over heads."""
    keys = call.k.repeat_interleave(call.q.shape[1] // call.k.shape[1], 1)
    logits = torch.einsum("bhqd,bhkd->bhqk", call.q.double(), keys.double()) / call.q.shape[-1] ** 0.5
    if call.mask is not None:
        logits = logits.masked_fill(~call.mask, float("-inf")) if call.mask.dtype == torch.bool else logits + call.mask.double()
    shares = logits.softmax(-1)[..., [text.start + token for token in tokens]].sum(-1).mean(1)[0]
    return shares if text == slice(0, call.k.shape[2]) else torch.cat([shares[: text.start], shares[text.stop :]])


def f(bench):
    bench = replace(bench, cfg=1.0)
    plain = bench.draw(bench.prompt(0), steps=1)
    if bench.tiny.unkept:
        kept = plain if bench.tiny.sound is None else bench.tiny.noise()
        try:
            bench.draw(bench.prompt(0), bench.edit(bench.names, keep=kept), steps=1)
        except ValueError as refused:
            raise AssertionError(bench.tiny.unkept) from refused
        raise AssertionError("keep is not refused")
    layers = bench.names[:: max(1, len(bench.names) // 2)]
    told = [[[embeddings, {**extra, DRAWN: [[(word, tokens)]]}] for embeddings, extra in prompt] for word, tokens, prompt in (
        ("SOURCE", TOKENS[0], bench.prompt(0)), ("TARGET", TOKENS[1], bench.encoded(1)))]  # fmt: skip
    chosen = models.written(bench.model, ", ".join(layers))
    kept = []
    own, keep.Keep.end = keep.Keep.end, lambda self, drawn: kept.append(self) or own(self, drawn)
    try:
        for method in bench.methods:
            for source, target in (told, (bench.prompt(0), bench.encoded(1))):
                edited = bench.draw(source, patch_prompt(bench.model, chosen, target, method=method, keep=plain), steps=1)
                outside = (kept[-1].mask == 0).expand_as(plain)
                assert torch.equal(edited[outside], plain[outside]), f"outside of the mask are not the source's latents ({method})"
                assert not torch.equal(edited, plain), f"nothing was changed ({method})"
    finally:
        keep.Keep.end = own


def g(bench):
    # Where ComfyUI draws sound beside a video, it takes no masks.
    bench = replace(bench, entries=2 if bench.tiny.sound is None else 1)
    plain = bench.draw(bench.prompt(0))
    middle = [bench.names[len(bench.names) // 2]]
    chosen = models.written(bench.model, middle[0])
    for method in bench.methods:
        same = bench.draw(bench.prompt(0), bench.same(method=method))
        assert torch.equal(same, plain), f"source = target is not the unpatched picture ({method}), {(same - plain).abs().max():.1e} off"
        edit = bench.draw(bench.prompt(0), bench.edit(middle, method=method))
        given = bench.draw(bench.prompt(0), patch_prompt(bench.model, chosen, bench.prompt(1), bench.prompt(3), method=method))
        assert torch.equal(edit, given), f"a target that has what the source has gives another picture ({method})"
    ours, theirs, size = compared(bench, middle)
    error = (ours - theirs).abs().max().item()
    assert error <= TOLERANCE * size, f"off by {error / size:.1e} of the change"
    wrong = {"the entries' targets exchanged": second(bench, middle, EXCHANGED)} if bench.entries == 2 else {}
    if bench.tiny.beside is not None and bench.tiny.place != "all" and models.family_of(bench.model).evolves:
        # Without references it is not called together with the negative prompt, which has them.
        wrong["a target without what other nodes give"] = second(replace(bench, memory_is_short=True), middle, TEXT_ONLY)
    for variant, picture in wrong.items():
        distance = (ours - picture).abs().max().item()
        assert distance > 10 * TOLERANCE * size, f"{variant} gives the same picture ({distance / size:.1e} of the change)"


CHECKS = {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f, "g": g}


def bench_of(tiny):
    return Bench(tiny, tiny.build(), lengths=(tiny.tokens,) * 4)


def check(tiny, verbose=False):
    """One row of the table; "reason" says what is wrong, or why the class cannot be served. layers: of the real model."""
    row = {"family": tiny.family, "class": tiny.kind, "layers": tiny.full_layers, **dict.fromkeys(CHECKS, False), "reason": tiny.unservable}
    if not tiny.exists:
        return {**row, "reason": "this ComfyUI does not have it"}
    bench = bench_of(tiny)
    if not tiny.family:
        try:
            models.family_of(bench.model)
        except ValueError as error:
            return {**row, "reason": str(error)}
        return {**row, "reason": "is served, though it is said that it cannot be"}
    for name, function in CHECKS.items():
        try:
            function(bench)
            row[name] = True
        except Exception as error:
            if verbose:
                traceback.print_exc()
            row["reason"] += f"{name}: {error} "
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of classes")
    parser.add_argument("--verbose", action="store_true", help="say where a check failed")
    arguments = parser.parse_args()
    rows = {}
    for tiny in [*MODELS, *(tiny for tiny in NEWER if tiny.exists)]:
        if arguments.only and tiny.kind not in arguments.only:
            continue
        row = check(tiny, arguments.verbose)
        done = " ".join(name if row[name] else "-" for name in CHECKS)
        print(f"{tiny.kind:24} {tiny.models[:40]:40} {done}  {row['reason'][:160]}", file=sys.stderr, flush=True)
        # Where a class has several tiny models, all must pass.
        first = rows.setdefault(tiny.kind, row)
        if first is not row:
            first.update({name: first[name] and row[name] for name in CHECKS}, reason=first["reason"] + row["reason"])
    arguments.out.write_text(json.dumps(list(rows.values()), indent=1) + "\n")


if __name__ == "__main__":
    main()
