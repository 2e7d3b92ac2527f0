"""The U-Net: diffusers' own, made of ComfyUI's layers and with ComfyUI's attention function.

So weights are cast, offloaded and patched as in any other model, a run can be interrupted, and what other nodes do to attention
is done here as well.
"""

import comfy.model_management
import comfy.patcher_extension
import torch
from comfy.ldm.modules.attention import optimized_attention
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import AttentionPooling


class DeepFloydUNet(UNet2DConditionModel):
    dtype = None  # as ComfyUI's models have it: that of the weights as a whole, not of the first of them

    def __init__(self, dtype=None, device=None, operations=None, **config):
        with torch.device("meta"):  # random numbers for 4 billion weights take minutes
            super().__init__(**UNet2DConditionModel.extract_init_dict(config)[0])
        for module in self.modules():
            if type(module) in (torch.nn.Linear, torch.nn.Conv2d, torch.nn.GroupNorm, torch.nn.LayerNorm):
                module.__class__ = getattr(operations, type(module).__name__)
            elif type(module) is AttentionPooling:
                module.__class__ = _Pooling
        self.set_attn_processor(_TextBeforePicture())
        torch.nn.Module.to(self, dtype=dtype).to_empty(device=device or "cpu")  # diffusers' own `to` warns of what is not the case
        self.dtype = dtype

    def forward(self, x, timesteps, context=None, control=None, transformer_options={}, **kwargs):
        wrappers = comfy.patcher_extension.get_all_wrappers(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, transformer_options)
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._forward, self, wrappers)
        return executor.execute(x, timesteps, context, control, transformer_options, **kwargs)

    def _forward(self, x, timesteps, context, control=None, transformer_options={}, **kwargs):
        options = {"transformer_options": transformer_options}
        # The other three channels are the variance, which ComfyUI's samplers do not ask for.
        return super().forward(x, timesteps, context, cross_attention_kwargs=options).sample[:, :3]


class _Pooling(AttentionPooling):
    """The text as one vector: the attention of its mean, moved by a learned vector, to itself and the text.

    ComfyUI moves modules, and that vector lies beside modules of its own: where a model is loaded in part it stays behind.
    """

    def forward(self, text):
        moved = comfy.model_management.cast_to(self.positional_embedding, text.dtype, text.device)
        mean = text.mean(1, keepdim=True) + moved
        all_ = torch.cat([mean, text], 1)
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in (self.q_proj(mean), self.k_proj(all_), self.v_proj(all_)))
        return torch.nn.functional.scaled_dot_product_attention(q, k, v).flatten(1)  # B heads 1 C


class _TextBeforePicture:
    """diffusers' AttnAddedKVProcessor: the picture attends to the text's keys and values and, behind them, to its own."""

    def __call__(self, attention, hidden_states, encoder_hidden_states=None, attention_mask=None, transformer_options={}):
        text = attention.norm_encoder_hidden_states(encoder_hidden_states) if attention.norm_cross else encoder_hidden_states
        picture = attention.group_norm(hidden_states.flatten(2)).transpose(1, 2)  # BCHW -> B HW C
        k = torch.cat([attention.add_k_proj(text), attention.to_k(picture)], 1)
        v = torch.cat([attention.add_v_proj(text), attention.to_v(picture)], 1)
        out = optimized_attention(attention.to_q(picture), k, v, attention.heads, transformer_options=transformer_options)
        return hidden_states + attention.to_out[0](out).transpose(1, 2).reshape(hidden_states.shape)
