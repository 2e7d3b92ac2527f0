"""Looks into the attention of chosen layers while the model is called, and puts other text keys and values there.

capture     hands text keys and values to a function
put         gives rows of the batch keys and values of a target's run
swap_rows   gives rows of the batch those of other rows
CaptureDone the call of the model need not go on

Each is a context manager around one call of the model that gives the options for it. Inside, the forward of the chosen layers'
modules says which layer is at work; their first attention goes through our function by way of ComfyUI's optimized_attention_override,
after what other nodes have put there. Nothing stays on the model. [Staniszewski et al., section 4.2]
"""

import inspect
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch

from .comfy_sampling import uncompiled

_POSITIONAL = ("mask", "attn_precision", "skip_reshape", "skip_output_reshape")  # of ComfyUI's attention functions, after heads


class CaptureDone(Exception):
    """The deepest layer that was asked for has been captured; the rest of the model's call is not needed."""


@dataclass(frozen=True)
class _Attention:
    """One call of ComfyUI's attention function. q, k, v: [B, tokens, channels] (v in MMDiT [B, tokens, heads, d]) or, with
    skip_reshape, [B, heads, tokens, d]; mask: None or [..., queries or 1, keys]; text: where text tokens stand among the keys."""

    function: Any
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    heads: int
    mask: torch.Tensor | None
    more: dict
    text: slice

    @property
    def axis(self):
        """Of tokens in q, k and v."""
        return 2 if self.more.get("skip_reshape") else 1

    def at(self, rows, tokens):
        """Index of some tokens of some rows."""
        return (rows, tokens) if self.axis == 1 else (rows, slice(None), tokens)

    def text_parts(self):
        """(k, v) of the text tokens, and what the picture's tokens see of them where the attention has a mask."""
        parts = tuple(t[self.at(slice(None), self.text)] for t in (self.k, self.v))
        return parts if self.mask is None else (*parts, _per_row(self.mask, len(self.k))[..., -1:, self.text])

    def attend(self):
        more = self.more if self.mask is None else {**self.more, "mask": self.mask}
        return self.function(self.q, self.k, self.v, self.heads, **more)

    def rows(self, where):
        mask = self.mask if self.mask is None else _per_row(self.mask, len(self.k))[where]
        return replace(self, q=self.q[where], k=self.k[where], v=self.v[where], mask=mask)

    def with_text(self, k, v, mask=None):
        """With other text keys and values, [rows, ...] as text_parts gives them; their number may differ."""

        def joined(own, new, axis):
            before, behind = (own.narrow(axis, a, b - a) for a, b in ((0, self.text.start), (self.text.stop, own.shape[axis])))
            return torch.cat([before, new.to(own), behind], axis)

        k, v = joined(self.k, k, self.axis), joined(self.v, v, self.axis)
        if self.mask is None and mask is None:
            return replace(self, k=k, v=v)
        own = self.mask
        if own is None:
            own = torch.zeros(mask.shape[:-1] + (self.k.shape[self.axis],), dtype=mask.dtype, device=k.device)
            own = own if mask.dtype != torch.bool else ~own
        if mask is None:
            mask = torch.ones(()) if own.dtype == torch.bool else torch.zeros(())
            mask = mask.expand(own.shape[:-2] + (1, k.shape[self.axis] - self.k.shape[self.axis] + self.text.stop - self.text.start))
        mask = mask.to(own).expand(*own.shape[:-1], mask.shape[-1])
        return replace(self, k=k, v=v, mask=joined(own, mask, own.ndim - 1))

    def attend_by_head(self, target, chosen):
        """Attention in which the `chosen` heads see what `target` has as keys and values, the others what this one has."""
        out = None
        for call, heads in ((self, [h for h in range(self.heads) if h not in chosen]), (target, list(chosen))):
            if heads:
                part = call._only(heads).attend()
                split = part if part.ndim == 4 else part.unflatten(2, (len(heads), -1)).transpose(1, 2)
                out = split.new_empty(split.shape[0], self.heads, *split.shape[2:]) if out is None else out
                out[:, heads] = split
        return out if self.more.get("skip_output_reshape") else out.transpose(1, 2).flatten(2)

    def _only(self, heads):
        if self.axis == 1:
            q, k, v = ((x.unflatten(2, (self.heads, -1)) if x.ndim == 3 else x)[:, :, heads].flatten(2) for x in (self.q, self.k, self.v))
        else:  # several query heads can share one of keys and values
            q, k, v = (x.repeat_interleave(self.heads // x.shape[1], 1)[:, heads] for x in (self.q, self.k, self.v))
        mask = self.mask
        if mask is not None and mask.ndim == 4 and mask.shape[1] == self.heads > 1:
            mask = mask[:, heads]
        return replace(
            self, q=q, k=k, v=v, heads=len(heads), mask=mask, more={**self.more, "enable_gqa": False} if self.axis == 2 else self.more
        )


def _per_row(mask, rows):
    """A mask whose first axis is the batch. ComfyUI's attention takes [q, k] and [B, q, k] and [B, heads, q, k]."""
    if mask.ndim == 2:
        mask = mask[None]
    return mask.expand(rows, *mask.shape[1:]) if len(mask) == 1 else mask


@contextmanager
def capture(family, diffusion_model, options, names, keep, stop_after=False):
    """keep(name, parts): a layer's text keys and values, and their mask if any, as _Attention.text_parts gives them.
    stop_after: raise CaptureDone behind the deepest layer."""
    deepest = [name for name in _modules(family, diffusion_model, names) if name in names][-1]

    def attention(name, call):
        keep(name, call.text_parts())
        if stop_after and name == deepest:
            raise CaptureDone
        return call.attend()

    with _text_attention(family, diffusion_model, options, names, attention) as options:
        yield options


@contextmanager
def put(family, diffusion_model, options, layers, rows):
    """layers: layer name -> heads, None for all. rows: [(slice of batch rows, {layer name: parts})] with parts as captured; rows
    outside every slice keep their own.

    Rows whose target is as long as their own text are attended in one call; others a slice at a time, because repeating tokens
    would change a joint attention.
    """

    def attention(name, call):
        # Where another node leaves out layers at some noise levels and the sampler chooses its own levels, the target's
        # nearest call can lack this one.
        targets = sorted(((where, kept[name]) for where, kept in rows if name in kept), key=lambda target: target[0].start)
        own = call.text.stop - call.text.start
        if layers[name] is None and call.mask is None and all(len(p) == 2 and p[0].shape[call.axis] == own for _, p in targets):
            k, v = call.k.clone(), call.v.clone()
            for where, (new_k, new_v) in targets:
                at = call.at(where, call.text)
                k[at], v[at] = new_k, new_v
            return replace(call, k=k, v=v).attend()
        out, at = [], 0
        for where, parts in targets:
            if at < where.start:
                out.append(call.rows(slice(at, where.start)).attend())
            source = call.rows(where)
            target = source.with_text(*parts)
            out.append(target.attend() if layers[name] is None else source.attend_by_head(target, layers[name]))
            at = where.stop
        if at < len(call.q):
            out.append(call.rows(slice(at, len(call.q))).attend())
        return torch.cat(out)

    with _text_attention(family, diffusion_model, options, layers, attention) as options:
        yield options


@contextmanager
def swap_rows(family, diffusion_model, options, swaps):
    """swaps: layer name -> [(row that takes, row that gives)]."""

    def attention(name, call):
        takers, givers = (list(rows) for rows in zip(*swaps[name]))
        k, v, mask = call.k.clone(), call.v.clone(), call.mask
        to, source = call.at(takers, call.text), call.at(givers, call.text)
        k[to], v[to] = k[source], v[source]
        if mask is not None:
            mask = _per_row(mask, len(k)).clone()
            mask[takers, ..., call.text] = mask[givers][..., -1:, call.text]  # what the picture's tokens see, as in put
        return replace(call, k=k, v=v, mask=mask).attend()

    with _text_attention(family, diffusion_model, options, swaps, attention) as options:
        yield options


class _Now:
    """What the call of the model is at: the layer whose attention comes next, and how many tokens of each kind were counted."""

    def __init__(self, kinds):
        self.layer = None
        self.counted = [None] * kinds


def _modules(family, diffusion_model, names):
    """Of all text layers, in execution order. Raises RuntimeError where a named one is not there."""
    modules = family.modules(diffusion_model, family.layers)
    if missing := [name for name in names if name not in modules]:
        raise RuntimeError(
            f"The model has no text layer {missing[0]} while it is called: another node has put blocks of its own in the place of the "
            "model's (First Block Cache does). Remove it."
        )
    return modules


@contextmanager
def _text_attention(family, diffusion_model, options, names, attention):
    """Options in which the first attention of each named layer goes through attention(name, _Attention)."""
    counted = [family.counted] if isinstance(family.counted, str) else family.counted
    now = _Now(len(counted))
    inner = options.get("optimized_attention_override")

    def override(function, q, k, v, heads, *rest, inner=inner, **more):
        if inner is None:
            attend = function
        else:

            def attend(*args, **kwargs):
                return inner(function, *args, **kwargs)

        name, now.layer = now.layer, None
        if name is None or None in now.counted:  # a call without text has nothing to swap
            return attend(q, k, v, heads, *rest, **more)
        more.update(zip(_POSITIONAL, rest))
        mask = more.pop("mask", None)
        keys = k.shape[2 if more.get("skip_reshape") else 1]
        return attention(name, _Attention(attend, q, k, v, heads, mask, more, family.text(*now.counted, keys)))

    options = {**options, "optimized_attention_override": override}
    bare = {"optimized_attention_override": partial(override, inner=None)}
    modules = _modules(family, diffusion_model, names)
    with ExitStack() as stack:
        stack.enter_context(uncompiled())
        for name in names:
            stack.enter_context(
                _around_forward(modules[name], _noting(now, name, modules[name], None if family.passes_options else options, bare))
            )
        for kind, (pattern, argument) in enumerate(c.split(":") for c in counted):
            for module in family.modules(diffusion_model, [pattern]).values():
                stack.enter_context(_around_forward(module, _counting(now, kind, module, argument)))
        yield options


def _noting(now, name, module, options, bare):
    """options: for layers that do not pass them to the attention function themselves. bare: for those that are called without ours, as
    TeaCache and First Block Cache call Flux's."""
    known = _parameters(type(module))
    place = known.index("transformer_options") if "transformer_options" in known else None

    def around(forward, args, kwargs):
        now.layer = name
        given = kwargs.get("transformer_options") or {}
        if place is not None and len(args) <= place and "optimized_attention_override" not in given:
            kwargs = {**kwargs, "transformer_options": {**given, **bare}}
        try:
            if options is None:
                return forward(*args, **kwargs)
            with _passing(type(module), options):
                return forward(*args, **kwargs)
        finally:
            now.layer = None

    return around


@contextmanager
def _passing(kind, options):
    """ComfyUI's attention function, as the layer's own file imported it, is given the options."""
    home = sys.modules[kind.__module__]
    function = home.optimized_attention
    home.optimized_attention = lambda *args, **more: function(*args, **{**more, "transformer_options": options})
    try:
        yield
    finally:
        home.optimized_attention = function


def _counting(now, kind, module, argument):
    def around(forward, args, kwargs):
        now.counted[kind] = _argument(type(module), argument, args, kwargs).shape[1]
        return forward(*args, **kwargs)

    return around


def _argument(kind, name, args, kwargs):
    if name in kwargs:
        return kwargs[name]
    return args[int(name) if name.isdigit() else _parameters(kind).index(name)]


@lru_cache(None)
def _parameters(kind):
    return list(inspect.signature(kind.forward).parameters)[1:]


@contextmanager
def _around_forward(module, around):
    """The module's forward goes through around(forward, args, kwargs)."""
    module = getattr(module, "_orig_mod", module)
    own = module.__dict__.get("forward")  # another node's
    forward = module.forward
    module.forward = lambda *args, **kwargs: around(forward, args, kwargs)
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
