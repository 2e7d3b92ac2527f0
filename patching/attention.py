"""Attention with keys and values that differ from head to head or from row to row, through ComfyUI's own attention function."""

import torch


class HeadSwap:
    """An attention override that, once told to expect it, finds source's and target's keys side by side and gives some heads
    the target's. `inner` is the override that was there before."""

    def __init__(self, inner):
        self.inner = inner
        self.heads = None

    def expect(self, heads, source_tokens):
        self.heads, self.source_tokens = heads, source_tokens

    def __call__(self, func, q, k, v, heads, *args, **kwargs):
        attend = through(self.inner, func, *args, **kwargs)
        if self.heads is None:
            return attend(q, k, v, heads)
        chosen, self.heads = self.heads, None
        n = self.source_tokens
        return attend_by_head(attend, q, (k[:, :n], v[:, :n]), (k[:, n:], v[:, n:]), heads, chosen)


def through(inner, func, *args, **kwargs):
    """attend(q, k, v, heads) of an override's call: ComfyUI's function, by way of the override that was there before, if any."""
    if inner is None:
        return lambda q, k, v, heads: func(q, k, v, heads, *args, **kwargs)
    return lambda q, k, v, heads: inner(func, q, k, v, heads, *args, **kwargs)


def attend_by_head(attend, q, source, target, heads, chosen):
    """Attention in which the `chosen` heads see the target's keys and values, the others the source's.

    attend(q, k, v, heads) is the attention function; q, k: [B, tokens, heads * d]; v the same or [B, tokens, heads, d];
    source, target: (k, v), whose token counts may differ. Returns [B, tokens of q, heads * d].
    """
    q = q.unflatten(2, (heads, -1))
    out = torch.empty_like(q)
    others = [h for h in range(heads) if h not in chosen]
    for group, (k, v) in ((others, source), (list(chosen), target)):
        if group:
            k, v = (x.unflatten(2, (heads, -1)) if x.ndim == 3 else x for x in (k, v))
            part = attend(*(x[:, :, group].flatten(2) for x in (q, k, v)), len(group))
            out[:, :, group] = part.unflatten(2, (len(group), -1))
    return out.flatten(2)
