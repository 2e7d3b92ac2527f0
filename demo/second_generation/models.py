"""What the two models of the second generation are: configurations for ComfyUI's own MMDiT and UNetModel, with their text model.

TextToImage    both as one module to train: velocity = model(noisy latents, time in 0..1, token ids)
TEXT           which text side each has
sample         latents by Euler, with the schedule that the KSampler uses for them

Both work on the codec's latents, 16 channels of 16 x 32, made unit by the mean and deviation that the weights bring.
"""

from itertools import pairwise

import torch
from torch import nn

from .. import architecture
from .codec import CHANNELS
from .prompts import WIDTH, OrderedText, SlotText

UNET = {**architecture.UNET, "in_channels": CHANNELS, "out_channels": CHANNELS, "context_dim": OrderedText.OUT}
MMDIT = {
    **architecture.MMDIT,
    "in_channels": CHANNELS,
    "num_blocks": 7,  # with eight, model, text model and codec would not fit into 12 MB
    "adm_in_channels": WIDTH,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": WIDTH, "out_features": 128}},
}
SHIFT = architecture.SHIFT
STEPS, CFG = 12, 3.0
TEXT = {"unet": OrderedText, "mmdit": SlotText}  # two ways of reading a prompt, as models that people use differ, too


class TextToImage(nn.Module):
    def __init__(self, name, text=None):
        """text: one of TEXT's, instead of the model's own."""
        super().__init__()
        import comfy.ops
        from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
        from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

        text = text or TEXT[name]
        if name == "unet":
            self.diffusion_model = UNetModel(**{**UNET, "context_dim": text.OUT}, operations=comfy.ops.disable_weight_init)
        else:
            self.diffusion_model = OpenAISignatureMMDITWrapper(**MMDIT, operations=comfy.ops.disable_weight_init)
        architecture.initialize(self.diffusion_model)
        self.text_model = text()
        self.pooled = name == "mmdit"

    def forward(self, x, t, ids):
        embeddings, pooled = self.text_model(ids)
        extra = {"y": pooled} if self.pooled else {}
        return self.diffusion_model(x, t * 1000, context=embeddings, **extra)


def sigmas(steps=STEPS):
    t = torch.linspace(1, 0, steps + 1)
    return SHIFT * t / (1 + (SHIFT - 1) * t)


@torch.no_grad()
def sample(model, ids, noise):
    """Unit latents of token ids [B, LENGTH] from noise [B, 16, 16, 32]."""
    empty = torch.tensor([model.text_model.tokenize("")] * len(ids), device=ids.device)
    x = noise
    for now, after in pairwise(sigmas()):
        times = now.expand(len(x) * 2).to(x.device)
        cond, uncond = model(torch.cat([x, x]), times, torch.cat([ids, empty])).float().chunk(2)
        x = x + (after - now) * (uncond + CFG * (cond - uncond))
    return x
