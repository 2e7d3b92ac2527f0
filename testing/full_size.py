"""ComfyUI's configurations of the real models, as its model detection finds them in their checkpoints, and random weights for them."""

import re

import torch

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "use_spatial_transformer": True,
    "legacy": False,
}
SD15 = UNET | {
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "num_heads": 8,
    "context_dim": 768,
}
SD21 = SD15 | {"context_dim": 1024, "num_heads": -1, "num_head_channels": 64, "use_linear_in_transformer": True}
SDXL = UNET | {
    "num_classes": "sequential",
    "adm_in_channels": 2816,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_middle": 10,
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "num_heads": -1,
    "num_head_channels": 64,
    "use_linear_in_transformer": True,
    "context_dim": 2048,
}


def _mmdit(depth, **other):
    embedder = {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 64 * depth}}
    return {"input_size": None, "in_channels": 16, "patch_size": 2, "depth": depth, "adm_in_channels": 2048,
            "context_embedder_config": embedder, "pos_embed_scaling_factor": None} | other  # fmt: skip


SD3_MEDIUM = _mmdit(24, num_patches=36864, pos_embed_max_size=192)
SD35_MEDIUM = _mmdit(24, num_patches=147456, pos_embed_max_size=384, qk_norm="rms", x_block_self_attn_layers=list(range(13)))
SD35_LARGE = _mmdit(38, num_patches=36864, pos_embed_max_size=192, qk_norm="rms")


def on_meta(config):
    """The diffusion model of one of these, without memory for weights."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    kind = OpenAISignatureMMDITWrapper if "depth" in config else UNetModel
    return kind(**config, device="meta", operations=comfy.ops.disable_weight_init)


class Looked:
    """What the adapters need of a MODEL to name its layers."""

    def __init__(self, diffusion_model):
        self.model = self.diffusion_model = diffusion_model

    def get_model_object(self, name):
        return getattr(self, name)


def random_model(supported_model, config, weights=torch.bfloat16, compute=None, on_card=False):
    """ComfyUI's MODEL at full size with small random weights. supported_model: of comfy.supported_models; weights, compute: types, as
    ComfyUI's set_inference_dtype takes them; on_card: on ComfyUI's devices and not on the CPU."""
    import comfy.model_management
    import comfy.model_patcher

    settings = supported_model(config)
    settings.set_inference_dtype(weights, compute)
    cpu = torch.device("cpu")
    load, offload = (comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()) if on_card else (cpu, cpu)
    model = settings.get_model({}, device=offload)
    numbers = torch.randn(2**16, generator=torch.Generator().manual_seed(0)) * 0.02
    with torch.no_grad():
        # ComfyUI allocates without filling: all that a checkpoint would fill, buffers such as SD3's pos_embed too.
        for name, p in model.diffusion_model.state_dict().items():
            norm = re.search(r"norm|ln_|layers\.0\.weight|out\.0\.weight", name) and name.endswith("weight")
            values = (torch.ones(1) if norm else numbers).to(p.device, p.dtype)
            flat, count = p.view(-1), p.numel() // len(values)
            flat[: count * len(values)].view(count, len(values)).copy_(values)
            flat[count * len(values) :].copy_(values[: p.numel() % len(values)])
    return comfy.model_patcher.ModelPatcher(model, load_device=load, offload_device=offload)
