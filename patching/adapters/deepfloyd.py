"""DeepFloyd IF: every attention of its U-Net attends to text keys and values (add_k_proj, add_v_proj) and, behind them, to the
picture's own. diffusers registers the middle last, but it runs between down and up. [Staniszewski et al., section 4]"""

from ..family import FIRST, Family, parameters

_PACK = __name__.rsplit(".", 3)[0]

FAMILY = Family(
    name="if",
    description="DeepFloyd IF",
    classes=(f"{_PACK}.deepfloyd.unet:DeepFloydUNet",),
    layers=("down_blocks.*.attentions.*", "mid_block.attentions.*", "up_blocks.*.attentions.*"),
    text=FIRST,
    counted="encoder_hid_proj:0",
    evolves=False,
    text_width=lambda model: model.encoder_hid_proj.in_features,
    size=lambda model: model.conv_in.out_channels,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.add_k_proj) + parameters(attention.add_v_proj),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)
