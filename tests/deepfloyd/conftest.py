"""A tiny random IF in diffusers' folders, where ComfyUI looks for models."""

import json
from types import SimpleNamespace

import folder_paths
import pytest
import torch
from text_layers.testing.tiny_if import CONFIG


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
