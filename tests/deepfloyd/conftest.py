"""A tiny random IF in diffusers' folders, where ComfyUI looks for models."""

import json
from types import SimpleNamespace

import folder_paths
import pytest
import torch

CONFIG = {
    "sample_size": 16,
    "in_channels": 3,
    "out_channels": 6,
    "block_out_channels": [32, 64, 64],
    "layers_per_block": 2,
    "down_block_types": ["ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"],
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ["SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"],
    "act_fn": "gelu",
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 2,
    "attention_head_dim": 32,
    "cross_attention_dim": 64,
    "cross_attention_norm": "group_norm",
    "encoder_hid_dim": 48,
    "resnet_time_scale_shift": "scale_shift",
}


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The models folder: models/diffusers/tiny-IF, its U-Net for itself, and a stage II."""
    from diffusers import UNet2DConditionModel

    base = tmp_path_factory.mktemp("models")
    known = {kind: (list(folders), ends) for kind, (folders, ends) in folder_paths.folder_names_and_paths.items()}
    for kind in ("diffusers", "diffusion_models", "text_encoders"):
        (base / kind).mkdir()
        folder_paths.add_model_folder_path(kind, str(base / kind), is_default=True)
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**CONFIG)
    pipeline = base / "diffusers" / "tiny-IF"
    unet.save_pretrained(pipeline / "unet")
    (pipeline / "model_index.json").write_text(json.dumps({"_class_name": "IFPipeline"}))
    unet.save_pretrained(base / "diffusers" / "other" / "in parts", max_shard_size="1MB")
    two = UNet2DConditionModel(**{**CONFIG, "in_channels": 6, "class_embed_type": "timestep"})
    two.save_pretrained(base / "diffusers" / "tiny-IF-II")
    yield base
    folder_paths.folder_names_and_paths.update(known)


@pytest.fixture(scope="session")
def tiny(models):
    """ComfyUI's MODEL and VAE as the node gives them, diffusers' U-Net, prompts and noise."""
    from diffusers import UNet2DConditionModel
    from text_layers.nodes.deepfloyd import LoadDeepFloydIF

    model, _, vae = LoadDeepFloydIF.execute("tiny-IF", "none", dynamic_thresholding=True).args
    unet = UNet2DConditionModel.from_pretrained(models / "diffusers" / "tiny-IF" / "unet").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    embeddings = [torch.randn(1, 77, CONFIG["encoder_hid_dim"], generator=generator) for _ in range(3)]
    noise = torch.randn(1, 3, 16, 16, generator=generator)
    return SimpleNamespace(model=model, vae=vae, unet=unet, source=embeddings[0], target=embeddings[1], negative=embeddings[2], noise=noise)
