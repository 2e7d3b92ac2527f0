"""LTX-Video, and LTX-2, which draws sound as well.

The sound reads the text in layers of its own (audio_attn2), in which it stays the source's. From LTX-2.3 on the noise level modulates the
text in each layer, which makes a family of its own: its keys and values change from step to step.
"""

from dataclasses import dataclass, replace

from ..family import ALL, Family, parameters


@dataclass(frozen=True)
class _Ltx(Family):
    modulated: bool = False

    def owns(self, diffusion_model):
        modulated = getattr(diffusion_model, "prompt_adaln_single", None) is not None  # ComfyUI 0.3 has none that is
        return super().owns(diffusion_model) and modulated == self.modulated


def _text_width(model):
    projected = getattr(model, "caption_proj_before_connector", False)  # before the model is called; ComfyUI 0.3 does it in the call
    if not _sounds(model):
        return model.inner_dim if projected else model.caption_projection.linear_1.in_features
    if projected:
        return model.cross_attention_dim + model.audio_cross_attention_dim
    return model.caption_channels, 2 * model.caption_channels  # before the connectors, and behind them


def _sounds(model):
    return hasattr(model, "audio_caption_projection")


def _size(model):
    marked = getattr(model, "keyframes_abs_pos_embedding", None) is not None  # LTX-2.5, which has LTX-2.3's size
    return f"{model.inner_dim}{'+sound' if _sounds(model) else ''}{'+keyframes' if marked else ''}"


FAMILY = _Ltx(
    name="ltx",
    description="LTX-Video, LTX-2",
    classes=("comfy.ldm.lightricks.model:LTXVModel",),
    layers=("transformer_blocks.*.attn2",),
    text=ALL,
    evolves=False,
    text_width=_text_width,
    heads=lambda attention: attention.heads,
    size=_size,
    sounds=_sounds,
    kv=lambda attention: parameters(attention.to_k) + parameters(attention.to_v),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)
MODULATED = replace(FAMILY, name="ltx2.3", description="LTX-2.3, LTX-2.5", evolves=True, modulated=True)
