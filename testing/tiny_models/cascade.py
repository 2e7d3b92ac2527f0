"""Stable Cascade."""

from types import SimpleNamespace

from .model import TinyModel

STAGE_C = {
    "stable_cascade_stage": "c", "c_cond": 32, "c_hidden": [32, 32], "nhead": [2, 2], "blocks": [[1, 2], [2, 1]], "c_clip_text": 24,
    "c_clip_text_pooled": 24,
}  # fmt: skip
STAGE_B = {
    "stable_cascade_stage": "b", "c_cond": 32, "c_hidden": [16, 24, 32, 32], "nhead": [-1, -1, 2, 2],
    "blocks": [[1, 1, 2, 1], [1, 2, 1, 1]], "block_repeat": [[1, 1, 1, 1], [3, 3, 2, 2]], "c_clip": 24,
}  # fmt: skip


def pooled(random, tokens):
    return {"pooled_output": random(1, 24)}


def image_prompts(random, number=0):
    """Two pictures beside the prompt, each of four tokens."""
    seen = [{"clip_vision_output": SimpleNamespace(image_embeds=random(1, 768)), "strength": 1.0 + number} for _ in range(2)]
    return {"unclip_conditioning": seen}


MODELS = [
    TinyModel("Stable_Cascade_C", "cascade", STAGE_C, (16, 4, 6), 24, picture=24, layers=6, place="last", behind=8,
              text=lambda tokens: tokens + 4, extra=pooled, always=image_prompts, beside=image_prompts, models="Stable Cascade (stage C)",
              full={"stable_cascade_stage": "c", "c_cond": 2048}, full_layers=64),
    TinyModel("Stable_Cascade_B", "", STAGE_B, (4, 16, 24), 24, picture=24, layers=0, models="Stable Cascade (stage B)",
              unservable="Its attention sees no tokens of the text, only the pooled embedding; stage C draws the words."),
]  # fmt: skip
