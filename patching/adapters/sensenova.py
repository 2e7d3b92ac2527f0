"""SenseNova U1.5, which ComfyUI 0.30 has not: a language model that goes on from the prompt with the picture's tokens.

The prompt's tokens see only what is before them, never the picture or the noise level, so that their keys and values depend on the text
alone; ComfyUI makes them once, before the first step. The picture has projections of its own, and attends them in a method of its own.
"""

from dataclasses import dataclass

from ..family import Family, parameters, refuse_references

NAME = "SenseNova U1.5"


@dataclass(frozen=True)
class _SenseNova(Family):
    def unseen(self, names):
        if "reference_latents" in names:
            refuse_references(NAME)
        return []


def _prompt(picture, keys):
    return slice(0, keys - picture)


FAMILY = _SenseNova(
    name="sensenova",
    description=NAME,
    classes=("comfy.ldm.sensenova.model:SenseNovaU15",),
    layers=("language_model.model.layers.*.self_attn",),
    method="forward_generation",
    text=_prompt,
    counted="language_model.model.layers.*.self_attn.q_proj_mot_gen:0",
    evolves=False,
    text_width=lambda model: 1,  # the embeddings of its conditioning are the tokens' numbers
    size=lambda model: model.language_model.model.embed_tokens.weight.shape[1],
    heads=lambda attention: attention.q_proj.weight.shape[0] // (2 * attention.q_norm.weight.shape[0]),
    kv=lambda attention: parameters(attention.k_proj) + parameters(attention.v_proj),
    lora=("q_proj_mot_gen", "k_proj_mot_gen", "v_proj_mot_gen", "o_proj_mot_gen"),
)
