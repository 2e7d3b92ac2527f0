"""Mochi. The text's padding is cut off behind the picture's tokens."""

from ..family import AFTER, Family, parameters

FAMILY = Family(
    name="mochi",
    description="Mochi 1",
    classes=("comfy.ldm.genmo.joint_model.asymm_models_joint:AsymmDiTJoint",),
    layers=("blocks.*.attn",),
    text=AFTER,
    counted="blocks.*.attn:x",
    text_width=lambda model: model.t5_feat_dim,
    heads=lambda attention: attention.num_heads,
    kv=lambda attention: parameters(attention.qkv_y, 2 / 3),
    lora=("qkv_x", "proj_x"),
)
