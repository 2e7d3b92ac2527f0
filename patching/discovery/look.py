"""The text layers of a model that has no adapter, and where the text stands in them, from a few calls of it.

A call of the attention function whose keys become more with a longer text and whose queries with a larger picture is a text layer. If its
keys become more with the picture as well it is a joint attention, else a cross-attention. In the first one nothing has mixed yet: the keys
that move with another text are the text's. In the others it is looked at with text and picture kept apart in all of them.
"""

from dataclasses import dataclass, field, replace

import torch

from ..attention import Attention
from ..comfy import is_out_of_memory, random_state
from ..family import ALL, Family
from . import variants
from .place import Sample, Unclear, fit, gap, moved, piece

FOUND = "found"
_LONGEST = 1100  # tokens of a lengthened prompt


@dataclass(frozen=True)
class FoundFamily(Family):
    """head_numbers: {layer: how many heads}; prompt_fields: what the prompt carried that was looked at. Which projections make its keys,
    and which a LoRA should train, is not known."""

    head_numbers: dict[str, int] = field(default_factory=dict)
    prompt_fields: frozenset = frozenset()

    def head_counts(self, diffusion_model):
        return dict(self.head_numbers)

    def unseen(self, names):
        return [name for name in names if name not in self.prompt_fields]


@dataclass(frozen=True)
class Found:
    """layers: paths of the modules, in execution order; joint: or cross; family: the Family; prompt, longer: what was looked at, and where
    the text stands among the keys of both."""

    layers: tuple[str, ...]
    joint: bool
    family: Family
    prompt: list
    longer: list
    places: tuple[slice, slice]


def look(probe, conditioning):
    """probe: of the model; conditioning: a prompt of it. Raises Unclear."""
    prompt = variants.plain(conditioning)
    with random_state(probe.model.load_device):
        return _look(probe, prompt)


def _look(probe, prompt):
    base = probe.fit(prompt)
    if not base.seen:
        raise Unclear("none of its attention goes through ComfyUI's attention function")
    if not base.picture.isfinite().all():
        raise Unclear("what it draws is not a number")
    large = probe.draw(prompt, probe.noise(heights=2))
    longer, long = _longer(probe, prompt, base)
    places = _layers(base, long, large)
    layers = tuple(base.seen[n].name for n in places)
    first = places[0]
    joint = _is_joint(base, large, places)
    names = _plain_fields(probe, prompt, base, first)
    changed = variants.other(prompt, names)
    samples, gaps = [], []
    for text, seen, heights in ((prompt, base, 1), (longer, long, 1), (prompt, large, 2)):
        by_text = probe.draw(variants.other(text, names), probe.noise(heights=heights))
        sample, between = _sample(probe, text, seen, by_text, first, heights)
        samples.append(sample)
        gaps.append(between)
    if gaps[2] != gaps[0] or (gaps[0] and gaps[0] == gaps[1]):
        raise Unclear(f"{gaps[0]} tokens stand between the text's and the picture's, and move with neither")
    if all(sample.start == 0 and sample.stop == sample.keys for sample in samples):
        counted, text = (), ALL
    else:
        counted, text = fit(samples)
        _check_all_layers(probe, prompt, changed, layers, places, (samples[0].start, samples[0].stop))
    if any(base.seen[n].keys != samples[0].keys for n in places):
        raise Unclear("its layers have different numbers of keys")
    probe.narrow(base)
    evolves = _evolves(probe, prompt, base, places, (samples[0].start, samples[0].stop))
    family = _family(probe, prompt, base, places, counted, text, evolves)
    where, where_longer = (slice(sample.start, sample.stop) for sample in samples[:2])
    return Found(layers, joint, family, prompt, longer, (where, where_longer))


def _longer(probe, prompt, base):
    """A text that has more keys somewhere: some models pad theirs."""
    text = prompt
    while True:
        text = variants.longer(text)
        if text[0][0].shape[1] > _LONGEST:
            raise Unclear("no attention has more keys when the text is longer")
        try:
            long = probe.draw(text, probe.noise())
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise Unclear(f"it takes no longer text ({error})") from None
        _check_alike(base, long)
        if any(b.keys > a.keys for a, b in zip(base.seen, long.seen, strict=True)):
            return text, long


def _check_alike(a, b):
    if [seen.modules for seen in a.seen] != [seen.modules for seen in b.seen]:
        raise Unclear("it calls other attention layers for another text or size")


def _layers(base, long, large):
    """Places of the text layers among the attention calls."""
    _check_alike(base, large)
    found = []
    for n, (a, b, c) in enumerate(zip(base.seen, long.seen, large.seen, strict=True)):
        if b.keys > a.keys and c.queries > a.queries:
            if not a.first:
                raise Unclear(f"{a.name or 'the model itself'} calls several attentions, of which the text's is not the first")
            found.append(n)
    if not found:
        raise Unclear("in no attention the picture sees the text's tokens")
    names = [base.seen[n].name for n in found]
    if len(set(names)) < len(names) or "" in names:
        raise Unclear("its attention layers are no modules of their own")
    return found


def _is_joint(base, large, places):
    kinds = {large.seen[n].keys > base.seen[n].keys for n in places}
    if len(kinds) > 1:
        raise Unclear("it has joint attention and cross-attention beside each other")
    return kinds.pop()


def _plain_fields(probe, prompt, base, first):
    """Those fields of the text that become tokens, and do not move the picture before the first layer (as pooled embeddings do)."""
    with_noise = moved(base.seen[first], probe.draw(prompt, probe.noise(1)).seen[first])
    found = []
    for name in variants.fields(prompt):
        by_text = moved(base.seen[first], probe.draw(variants.other(prompt, [name]), probe.noise()).seen[first])
        if by_text.any() and not (by_text & with_noise).any() and not (with_noise.any() and by_text.all()):
            found.append(name)
    if not found:
        raise Unclear("another text moves no keys of its first layer, or the picture's as well")
    return found


def _sample(probe, prompt, base, by_text, first, heights):
    here = base.seen[first]
    by = {"text": by_text, "picture": probe.draw(prompt, probe.noise(1, heights=heights))}
    others = variants.beside(prompt)
    if others is not prompt:
        by["beside"] = probe.draw(others, probe.noise(heights=heights))
    by = {name: moved(here, seen.seen[first]) for name, seen in by.items()}
    nothing = torch.zeros(here.keys, dtype=torch.bool)
    beside = by.get("beside", nothing)
    where = piece(by["text"], by["picture"], beside, nothing)
    if where.stop - where.start > by["text"].sum():
        # Some of them have not moved with the text: whether with the noise level, on which the model may have a token of its own.
        level = moved(here, probe.draw(prompt, probe.noise(heights=heights), sigmas=probe.sigmas[1:]).seen[first])
        where = piece(by["text"], by["picture"], beside, level)
    return Sample(here.keys, where.start, where.stop, _counts(base, first)), gap(by["text"], by["picture"] | beside, where)


def _counts(recording, first):
    """Of arguments that are known before the first layer's attention, and are as long in all calls of their module."""
    found = {}
    for (path, name), calls in recording.counts.items():
        lengths = {length for _, length in calls}
        if path and calls[0][0] <= first and len(lengths) == 1:
            found[f"{path}:{name}"] = lengths.pop()
    return found


def _check_all_layers(probe, prompt, changed, layers, places, where):
    """With text and picture kept apart in all layers, the text's keys move with the text alone in each of them."""
    start, stop = where

    def apart(seen, attention):
        return _apart(attention, slice(start, stop)) if seen.first and seen.name in layers else None

    calls = ((prompt, 0), (changed, 0), (prompt, 1))
    base, text, picture = (probe.draw(one, probe.noise(seed), watch=apart) for one, seed in calls)
    for n in places:
        by_text, by_noise = moved(base.seen[n], text.seen[n]), moved(base.seen[n], picture.seen[n])
        inside = torch.zeros_like(by_text)
        inside[start:stop] = True
        if (by_text & ~inside).any() or not (by_text & inside).any() or (by_noise & inside).any():
            raise Unclear(f"the text stands elsewhere in {base.seen[n].name} than in the first layer, or reaches the picture beside them")


def _apart(attention: Attention, text):
    """Its output without anything of the text for the picture, or of the picture for the text."""
    tokens, joint = attention.k.shape[attention.axis], attention.q.shape[attention.axis] == attention.k.shape[attention.axis]
    inside = torch.arange(text.start, text.stop)
    outside = torch.cat([torch.arange(text.start), torch.arange(text.stop, tokens)])
    if not joint:
        return _part(attention, None, outside)()
    axis = 2 if attention.more.get("skip_output_reshape") else 1
    parts = [_part(attention, own, own)() for own in (inside, outside)]
    back = torch.cat([inside, outside]).argsort().to(parts[0].device)
    return torch.cat(parts, axis).index_select(axis, back)


def _part(attention, queries, keys):
    axis, mask = attention.axis, attention.mask
    keys = keys.to(attention.k.device)
    if mask is not None:
        mask = mask.index_select(-1, keys)
        if queries is not None and mask.shape[-2] > 1:
            mask = mask.index_select(-2, queries.to(mask.device))
    q = attention.q if queries is None else attention.q.index_select(axis, queries.to(attention.q.device))
    return replace(attention, q=q, k=attention.k.index_select(axis, keys), v=attention.v.index_select(axis, keys), mask=mask)


def _not_known(module):
    raise ValueError(f"What a {type(module).__name__} makes of its text was found by looking: its projections are not known.")


def _evolves(probe, prompt, base, places, where):
    other = probe.draw(prompt, probe.noise(1), sigmas=probe.sigmas[1:])
    return any(moved(base.seen[n], other.seen[n])[slice(*where)].any() for n in places)


def _family(probe, prompt, base, places, counted, text, evolves):
    kind = type(probe.model.get_model_object("diffusion_model"))
    heads = {base.seen[n].name: base.seen[n].heads for n in places}
    width = prompt[0][0].shape[-1]
    return FoundFamily(
        name=f"{FOUND} {kind.__qualname__}",
        description=f"{kind.__qualname__}, found by looking, checked on this model",
        classes=(f"{kind.__module__}:{kind.__qualname__}",),
        layers=tuple(heads),
        text=text,
        counted=counted,
        text_width=lambda model: width,
        heads=_not_known,
        kv=_not_known,
        lora=(),
        evolves=evolves,
        passes_options=all(base.seen[n].passes for n in places),
        head_numbers=heads,
        prompt_fields=frozenset(prompt[0][1]),
    )
