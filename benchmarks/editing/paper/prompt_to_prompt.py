"""Prompt-to-Prompt's word swap (Hertz et al., 2023), for comparison.

share_attention    MODEL whose second half of a batch's rows takes the attention maps of the first
"""

from functools import partial

import torch

CROSS, SELF = 0.8, 0.4  # of the steps, from the first one on; the paper's own example


def share_attention(model, steps, joint):
    """A clone that, given twice as many rows as pictures (sources, then targets), attends in the targets' rows with the sources' maps
    and the targets' values: in cross-attention for CROSS of the steps; for SELF of them in self-attention over at most 16 x 16 tokens and
    in attention over text and picture together (joint: the model has no other). Maps are taken token by token, as for prompts that differ
    in words of as many tokens."""
    shared = model.clone()
    options = shared.model_options["transformer_options"]
    inner = options.get("optimized_attention_override")

    def override(func, q, k, v, heads, *args, transformer_options=None, **kwargs):
        function = func if inner is None else partial(inner, func)

        def attend(q, k, v, heads):
            return function(q, k, v, heads, *args, transformer_options=transformer_options, **kwargs)

        options = transformer_options or {}
        if "sigmas" not in options or kwargs.get("skip_reshape"):
            return attend(q, k, v, heads)
        schedule = options["sample_sigmas"]
        step = int((schedule >= options["sigmas"].max() * (1 - 1e-5)).sum()) - 1
        cross = q.shape[1] != k.shape[1]
        if step >= steps * (CROSS if cross else SELF) or not (cross or joint or q.shape[1] <= 16 * 16):
            return attend(q, k, v, heads)
        q, k, v = (x if x.ndim == 4 else x.unflatten(2, (heads, -1)) for x in (q, k, v))
        chunks = len(options["cond_or_uncond"])
        q, k = (x.unflatten(0, (chunks, 2, -1))[:, :1].expand(-1, 2, *[-1] * 4).flatten(0, 2) for x in (q, k))
        out = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)))
        return out.transpose(1, 2).flatten(2)

    options["optimized_attention_override"] = override
    return shared
