"""Stable Cascade's stage C, where the words of a picture are drawn; stage B gives its latent more detail.

The keys are the picture's tokens, the prompt's, four of the prompt's pooled embedding, and four of each image prompt. The pooled
embedding's belong to the text; image prompts stay the source's.
"""

from ..family import Family, parameters

_TOKENS = 4  # of a pooled embedding and of an image prompt


def _prompt(condition, tokens, keys):
    """condition: tokens of all that the picture is told; tokens: of the prompt."""
    start = keys - condition
    return slice(start, start + tokens + _TOKENS)


FAMILY = Family(
    name="cascade",
    description="Stable Cascade (stage C)",
    classes=("comfy.ldm.cascade.stage_c:StageC",),
    layers=("down_blocks.*.*.attention", "up_blocks.*.*.attention"),
    text=_prompt,
    counted=("down_blocks.*.*.attention:kv", "clip_txt_mapper:0"),
    evolves=False,
    text_width=lambda model: model.clip_txt_mapper.in_features,
    heads=lambda attention: attention.attn.heads,
    pooled=True,
    kv=lambda attention: parameters(attention.attn.to_k) + parameters(attention.attn.to_v),
    lora=("attn.to_q", "attn.to_k", "attn.to_v", "attn.out_proj"),
)

UNSERVABLE = {
    "comfy.ldm.cascade.stage_b:StageB": "no token of the text reaches it, only the pooled embedding of the whole prompt; "
    "the words are in the latent of stage C, so give stage C's MODEL",
}
