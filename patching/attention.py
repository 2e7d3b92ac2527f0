"""One call of an attention and what it makes of the text: plain tensors, no model and no ComfyUI.

Attention   queries, keys and values of one call, and where the text's tokens stand among the keys
mixed       the paper's equation: the target's text instead of the source's, or some of both
with_rows   the same in a batch whose rows have targets of their own
share       how much of its attention each token of the picture gives to some tokens of the text
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch


@dataclass(frozen=True)
class Attention:
    """q, k, v: [B, tokens, channels] (v also [B, tokens, heads, d]) or, with skip_reshape, [B, heads, tokens, d]; mask: None or
    [..., queries or 1, keys], with or without axes for batch and heads; text: where the text's tokens stand among the keys.

    function(q, k, v, heads, mask=..., **more) is the attention function; in its output the batch comes first.
    """

    function: Callable
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    heads: int
    mask: torch.Tensor | None
    more: dict = field(default_factory=dict)
    text: slice = field(default_factory=lambda: slice(None))

    @property
    def axis(self):
        """Of tokens in q, k and v."""
        return 2 if self.more.get("skip_reshape") else 1

    @property
    def tokens(self):
        """How many the text has."""
        return len(range(self.k.shape[self.axis])[self.text])

    def __call__(self):
        more = self.more if self.mask is None else {**self.more, "mask": self.mask}
        return self.function(self.q, self.k, self.v, self.heads, **more)

    def at(self, rows):
        """Index of the text's tokens of some rows, in k and v."""
        return (rows, self.text) if self.axis == 1 else (rows, slice(None), self.text)

    def text_parts(self):
        """(k, v) of the text's tokens and, where the attention has a mask, what the picture's tokens see of them."""
        parts = tuple(t[self.at(slice(None))] for t in (self.k, self.v))
        return parts if self.mask is None else (*parts, by_row(self.mask, len(self.k))[..., -1:, self.text])

    def rows(self, where):
        mask = self.mask if self.mask is None else by_row(self.mask, len(self.k))[where]
        return replace(self, q=self.q[where], k=self.k[where], v=self.v[where], mask=mask)

    def with_text(self, k, v, mask=None):
        """With other text keys and values, as text_parts gives them; their number may differ."""

        def joined(own, new, axis):
            text = range(own.shape[axis])[self.text]
            before, behind = own.narrow(axis, 0, text.start), own.narrow(axis, text.stop, own.shape[axis] - text.stop)
            return torch.cat([before, new.to(own), behind], axis)

        start = range(self.k.shape[self.axis])[self.text].start
        text = slice(start, start + k.shape[self.axis])
        new = replace(self, k=joined(self.k, k, self.axis), v=joined(self.v, v, self.axis), text=text)
        if self.mask is None and mask is None:
            return new
        own = _all_seen(mask, self.k.shape[self.axis]) if self.mask is None else self.mask
        mask = _all_seen(own, k.shape[self.axis]) if mask is None else mask
        mask = mask.to(own).expand(*own.shape[:-1], mask.shape[-1])
        return replace(new, mask=joined(own, mask, own.ndim - 1))

    def only(self, heads):
        """Some of the heads."""
        if self.axis == 1:
            q, k, v = (x.unflatten(2, (self.heads, -1)) if x.ndim == 3 else x for x in (self.q, self.k, self.v))
            q, k, v, more = *(x[:, :, heads].flatten(2) for x in (q, k, v)), self.more
        else:  # several heads of queries can share one of keys and values
            q, k, v = (x.repeat_interleave(self.heads // x.shape[1], 1)[:, heads] for x in (self.q, self.k, self.v))
            more = {**self.more, "enable_gqa": False}
        mask = self.mask
        if mask is not None and mask.ndim == 4 and mask.shape[1] == self.heads > 1:
            mask = mask[:, heads]
        return replace(self, q=q, k=k, v=v, heads=len(heads), mask=mask, more=more)

    def by_head(self):
        """The output as [B, heads, queries, d]."""
        out = self()
        return out if out.ndim == 4 else out.unflatten(2, (self.heads, -1)).transpose(1, 2)


def mixed(source, target, w=1):
    """(1 - w) Attn(q, K_source, V_source) + w Attn(q, K_target, V_target), with w = 1 the paper's [Staniszewski et al., section 4].

    source, target: the same Attention with the one's and with the other's text. w: a number, or a tensor with one for each head. What
    is wholly one's costs one attention; a w that asks for a gradient has it everywhere.
    """
    if not torch.is_tensor(w):
        if w in (0, 1):
            return target() if w else source()
        return torch.lerp(source(), target(), float(w))
    w = w.to(source.q.device).expand(source.heads)
    if w.requires_grad:
        out = torch.lerp(source.by_head(), target.by_head(), w.to(source.q.dtype)[:, None, None])
    else:
        out = None
        values = w.tolist()
        for value in sorted(set(values)):
            heads = [head for head, own in enumerate(values) if own == value]
            part = _mixed_heads(source, target, heads, value)
            out = part.new_empty(part.shape[0], source.heads, *part.shape[2:]) if out is None else out
            out[:, heads] = part
        assert out is not None  # an attention has heads
    return out if source.more.get("skip_output_reshape") else out.transpose(1, 2).flatten(2)


def _mixed_heads(source, target, heads, w):
    if w in (0, 1):
        return (target if w else source).only(heads).by_head()
    return torch.lerp(source.only(heads).by_head(), target.only(heads).by_head(), w)


def with_rows(attention, targets):
    """The output of an attention in which some rows of the batch take a target's text.

    targets: [(rows, parts, w)]: numbers of rows, none of them twice; their text parts, a row each; w as mixed takes it. Rows whose
    target is as long as their own text and wholly taken are attended in the same call as all others; the rest apart, because repeating
    tokens would change a joint attention.
    """
    targets = [(_index(rows), parts, w) for rows, parts, w in targets]
    if all(not torch.is_tensor(w) and w == 1 and parts[0].shape[attention.axis] == attention.tokens for _, parts, w in targets):
        return _in_place(attention, targets)()
    pieces, left = [], set(range(len(attention.q)))
    for rows, parts, w in targets:
        source = attention.rows(rows)
        pieces.append((rows, mixed(source, source.with_text(*parts), w)))
        left -= set(range(len(attention.q))[rows] if isinstance(rows, slice) else rows)
    if left:
        rows = _index(sorted(left))
        pieces.append((rows, attention.rows(rows)()))
    out = pieces[0][1].new_empty(len(attention.q), *pieces[0][1].shape[1:])
    for rows, piece in pieces:
        out[rows] = piece
    return out


def _in_place(attention, targets):
    k, v, mask = attention.k.clone(), attention.v.clone(), attention.mask
    masks = [parts[2] for _, parts, _ in targets if len(parts) == 3]
    if mask is None and masks:
        mask = _all_seen(masks[0][:1], k.shape[attention.axis])
    if mask is not None:
        mask = by_row(mask, len(k)).clone()
    for rows, (new_k, new_v, *new_mask), _ in targets:
        at = attention.at(rows)
        k[at], v[at] = new_k.to(k), new_v.to(v)
        if mask is not None:
            mask[rows, ..., attention.text] = new_mask[0].to(mask) if new_mask else _all_seen(mask, 1)[:1]
    return replace(attention, k=k, v=v, mask=mask)


def by_row(mask, rows):
    """A mask whose first axis is the batch. ComfyUI's attention takes [q, k] and [B, q, k] and [B, heads, q, k]."""
    if mask.ndim == 2:
        mask = mask[None]
    return mask.expand(rows, *mask.shape[1:]) if len(mask) == 1 else mask


def _all_seen(like, keys):
    """A mask of this many keys that hides none."""
    shape = (*like.shape[:-1], keys)
    return like.new_ones(shape) if like.dtype == torch.bool else like.new_zeros(shape)


def _index(rows):
    """Neighbours as a slice, which copies nothing."""
    rows = list(rows)
    return slice(rows[0], rows[-1] + 1) if rows == list(range(rows[0], rows[-1] + 1)) else rows


def share(attention, tokens, chunk=1024):
    """[B, picture tokens]: the part of its attention that each token of the picture gives to some tokens of the text, in the mean over
    heads. tokens: their numbers in the text. `chunk` queries at a time, so that no matrix of all queries and keys is kept."""
    q, k = (x if attention.axis == 2 else x.unflatten(2, (attention.heads, -1)).transpose(1, 2) for x in (attention.q, attention.k))
    q, k = (x.repeat_interleave(attention.heads // x.shape[1], 1).float() for x in (q, k))
    text = range(k.shape[2])[attention.text]
    queries = torch.arange(q.shape[2], device=q.device)
    if q.shape[2] == k.shape[2] > len(text):  # in a joint attention the text's tokens ask, too
        queries = queries[(queries < text.start) | (queries >= text.stop)]
    wanted = torch.tensor([text[token] for token in tokens], dtype=torch.long, device=q.device)
    mask = None if attention.mask is None else by_row(attention.mask, len(q))
    if mask is not None:
        mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else mask.float()
        mask = mask if mask.ndim == 4 else mask[:, None]
    shares = []
    for some in queries.split(chunk):
        logits = q[:, :, some] @ k.transpose(2, 3) * q.shape[3] ** -0.5
        if mask is not None:
            logits = logits + (mask if mask.shape[2] == 1 else mask[:, :, some])
        shares.append(logits.softmax(-1)[..., wanted].sum(-1).mean(1))
    return torch.cat(shares, 1)
