"""HiDream-O1, a language model that goes on from the prompt with the picture's tokens.

The prompt's tokens see only what is before them, never the picture or the noise level, so that their keys and values depend on the
text alone. What a patched layer changes is what the picture's tokens see of the prompt there; the prompt's own pass stays the
source's, in that layer and in those behind it: nothing of the picture ever flows into it, as it does in a joint attention.
ComfyUI keeps the prompt's keys and values on the model from step to step and from run to run, found again by the prompt's tokens.
They are taken before the attention, where we put the target's, so that what is kept for a prompt is always that prompt's own.
"""

from ..family import Family, parameters


def _prompt(counted, keys):
    # The last of the text's tokens tells the noise level and belongs to the picture.
    return slice(0, counted - 1)


FAMILY = Family(
    name="hidream_o1",
    description="HiDream-O1",
    classes=("comfy.ldm.hidream_o1.model:HiDreamO1Transformer",),
    layers=("language_model.layers.*.self_attn",),
    text=_prompt,
    counted="language_model.embed_tokens:0",
    evolves=False,
    text_width=lambda model: 1,  # the embeddings of its conditioning are the tokens' numbers
    size=lambda model: model.hidden_size,
    heads=lambda attention: attention.num_heads,
    kv=lambda attention: parameters(attention.k_proj) + parameters(attention.v_proj),
    lora=("q_proj", "k_proj", "v_proj", "o_proj"),
)
