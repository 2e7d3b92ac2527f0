"""U-Nets with cross-attention (SD 1.x, SD 2.x, SDXL): text layers are the `attn2` of every transformer block.

Their text keys and values depend on the text alone, so the target's embeddings are given to the chosen layers' own to_k and
to_v (injection); no run of the target is needed. [Staniszewski et al., section 4.1]
"""

from ..family import ALL, Family, parameters

FAMILY = Family(
    name="unet",
    description="U-Nets with cross-attention (SD 1.x, SD 2.x, SDXL and their kin)",
    classes=("comfy.ldm.modules.diffusionmodules.openaimodel:UNetModel",),
    layers=tuple(f"{part}.*.transformer_blocks.*.attn2" for part in ("input_blocks.*", "middle_block", "output_blocks.*")),
    text=ALL,
    evolves=False,
    injects=True,
    known_by="to_k",
    text_width=lambda model: next(iter(FAMILY.modules(model, FAMILY.layers).values())).to_k.in_features,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.to_k) + parameters(attention.to_v),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)
