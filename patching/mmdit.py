"""MMDiT (Stable Diffusion 3 and 3.5): text layers are the joint attentions of `joint_blocks`.

The text stream evolves with the picture, so the chosen blocks' text keys and values are captured in a run of the target and put
into the source's run (patching). [Staniszewski et al., section 4.2]
"""

import re

import torch

from .attention import attend_by_head, through

NAME = "mmdit"
DESCRIPTION = "MMDiT (Stable Diffusion 3 and 3.5)"
TEXT_STREAM_EVOLVES = True


class CaptureDone(Exception):
    """The deepest layer that was asked for has been captured; the rest of the model's call is not needed."""


def owns(diffusion_model):
    from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT

    return isinstance(diffusion_model, MMDiT)


def layer_names(diffusion_model):
    return [f"joint_blocks.{i}" for i in range(len(diffusion_model.joint_blocks))]


def head_counts(diffusion_model):
    return dict.fromkeys(layer_names(diffusion_model), diffusion_model.num_heads)


def text_width(diffusion_model):
    """Channels of the text embeddings that the model takes."""
    return diffusion_model.context_embedder.in_features


def architecture(diffusion_model):
    # SD3.5-medium has SD3-medium's size, but a second, image-only attention in its first blocks.
    second = "+attn2" if any(b.x_block.x_block_self_attn for b in diffusion_model.joint_blocks) else ""
    return f"mmdit-{len(diffusion_model.joint_blocks)}x{diffusion_model.hidden_size}{second}"


def _index(name):
    return int(re.fullmatch(r"joint_blocks\.(\d+)", name)[1])


def capture(transformer_options, names, keep, stop_after):
    """Options for one model call that hands the named layers' text keys and values to `keep(name, k, v)`:
    k [B, tokens, channels], v the same or [B, tokens, heads, d]. stop_after: raise CaptureDone behind the deepest one."""
    deepest = max(names, key=_index)

    def around(name):
        def attention(attend, q, k, v, heads, text):
            keep(name, k[:, :text], v[:, :text])
            if stop_after and name == deepest:
                raise CaptureDone
            return attend(q, k, v, heads)

        return attention

    return _with_joint_attention(transformer_options, {name: around(name) for name in names})


def put(transformer_options, layers, rows):
    """Options for one model call in which the chosen layers' text keys and values come from the target's run.

    layers: layer name -> heads, None for all. rows: [(slice of batch rows, {layer name: (k, v)})] with k, v as captured; rows
    outside every slice keep their own.
    Rows whose target is as long as their own text are attended in one call; others a slice at a time, because repeating tokens
    would change a joint attention.
    """

    def around(name, some_heads):
        def attention(attend, q, k, v, heads, text):
            # Where another node leaves out layers at some noise levels and the sampler chooses its own levels, the target's
            # nearest call can lack this one.
            targets = [(where, captured[name]) for where, captured in rows if name in captured]
            if some_heads is None and all(new_k.shape[1] == text for _, (new_k, _) in targets):
                k, v = k.clone(), v.clone()
                for where, (new_k, new_v) in targets:
                    k[where, :text], v[where, :text] = new_k, new_v
                return attend(q, k, v, heads)
            out = []
            at = 0
            for where, new in sorted(targets, key=lambda target: target[0].start):
                if at < where.start:
                    out.append(attend(q[at : where.start], k[at : where.start], v[at : where.start], heads))
                own = (k[where], v[where])
                target = tuple(torch.cat([text_part.to(x), x[:, text:]], 1) for text_part, x in zip(new, own))
                if some_heads is None:
                    out.append(attend(q[where], *target, heads))
                else:
                    out.append(attend_by_head(attend, q[where], own, target, heads, some_heads))
                at = where.stop
            if at < len(q):
                out.append(attend(q[at:], k[at:], v[at:], heads))
            return torch.cat(out)

        return attention

    return _with_joint_attention(transformer_options, {name: around(name, heads) for name, heads in layers.items()})


def swap_rows(transformer_options, swaps):
    """Options for one model call in which rows of the batch take other rows' text keys and values in some layers.

    swaps: layer name -> [(row that takes, row that gives)].
    """

    def around(pairs):
        takers, givers = (list(rows) for rows in zip(*pairs))

        def attention(attend, q, k, v, heads, text):
            k, v = k.clone(), v.clone()
            k[takers, :text], v[takers, :text] = k[givers, :text], v[givers, :text]
            return attend(q, k, v, heads)

        return attention

    return _with_joint_attention(transformer_options, {name: around(pairs) for name, pairs in swaps.items()})


def _with_joint_attention(transformer_options, attentions):
    """Options in which the joint attention of some blocks goes through attention(attend, q, k, v, heads, text tokens)."""
    options = transformer_options.copy()
    replace = {**options.get("patches_replace", {})}
    replace["dit"] = {**replace.get("dit", {})}
    options["patches_replace"] = replace
    for name, attention in attentions.items():
        key = ("double_block", _index(name))
        replace["dit"][key] = _block_with(attention, replace["dit"].get(key))
    return options


def _block_with(attention, outer):
    def block(args, extra):
        text, image = args["txt"].shape[1], args["img"].shape[1]
        inner = args["transformer_options"].get("optimized_attention_override")

        def override(func, q, k, v, heads, *rest, **kwargs):
            attend = through(inner, func, *rest, **kwargs)
            if q.shape[1] != text + image:  # SD3.5-medium's second attention, among image tokens only
                return attend(q, k, v, heads)
            return attention(attend, q, k, v, heads, text)

        args = {**args, "transformer_options": {**args["transformer_options"], "optimized_attention_override": override}}
        return outer(args, extra) if outer is not None else extra["original_block"](args)

    return block
