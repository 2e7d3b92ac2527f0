"""The codec: 8 x 8 pixels are one latent cell of 16 channels. ComfyUI's own Encoder and Decoder of HunyuanImage, made small.

build                 the codec as ComfyUI's AutoencodingEngine, without weights
load                  it and its latents' statistics, from a file
initialize            its starting weights
to_unit, to_pixels    uint8 pictures [B, H, W, 3] <-> tensors [B, 3, H, W] in -1..1

These classes fold pixels into channels with shortcuts around every change of size, so that little is left to be learned, and little
is computed at the picture's full size: AutoencoderKL's take several times as long to train and to run for the same pictures.
"""

import torch
from safetensors.torch import load_file
from torch import nn

CHANNELS, FACTOR = 16, 8
_SHARED = {"num_res_blocks": 0, "ffactor_spatial": FACTOR}
ENCODER = {**_SHARED, "in_channels": 3, "z_channels": CHANNELS // 2, "block_out_channels": [32, 64, 64, 64]}
DECODER = {**_SHARED, "out_channels": 3, "z_channels": CHANNELS, "block_out_channels": [32, 32, 128, 64]}


def build():
    from comfy.ldm.models.autoencoder import AutoencodingEngine

    return AutoencodingEngine(
        encoder_config={"target": "comfy.ldm.hunyuan_video.vae.Encoder", "params": ENCODER},
        decoder_config={"target": "comfy.ldm.hunyuan_video.vae.Decoder", "params": DECODER},
        # No variance: the encoder makes twice z_channels, and all of them are the latents.
        regularizer_config={"target": "comfy.ldm.models.autoencoder.EmptyRegularizer"},
    )


def load(path):
    """(codec, mean and deviation of its latents, [16] each) of a file that train_codec writes."""
    weights = {name: value.float() for name, value in load_file(path).items()}
    statistics = weights.pop("latents.mean"), weights.pop("latents.deviation")
    codec = build().requires_grad_(False)
    codec.load_state_dict(weights)
    return codec, *statistics


def initialize(codec):
    """Starting weights for training: ComfyUI's modules leave theirs as the memory was. Residual branches start as zero."""
    for name, module in codec.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
            if name.endswith((".conv2", ".proj_out")):
                nn.init.zeros_(module.weight)
        elif isinstance(module, nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def to_unit(pictures):
    return torch.as_tensor(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(x):
    return ((x.permute(0, 2, 3, 1) + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
