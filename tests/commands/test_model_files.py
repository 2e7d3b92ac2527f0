"""Models in separate files, as the commands load them."""

import pytest
import torch
from text_layers.commands.model_files import ModelFiles, load

pytestmark = pytest.mark.any_comfyui


def separate_files(folder):
    """(weights, their file, a VAE's file) of the tiny Stable Diffusion 3."""
    from safetensors.torch import save_file
    from text_layers.testing.tiny_models import MODELS

    tiny = next(tiny for tiny in MODELS if tiny.kind == "SD3")
    # ComfyUI takes it for one of Stable Diffusion 3, whose last block lets its text go.
    short = "joint_blocks.1.context_block.adaLN_modulation.1."
    own = tiny.build().model.diffusion_model.state_dict()
    weights = {name: w[: 256 if name.startswith(short) else None].clone() if w.ndim else w for name, w in own.items()}
    alone, vae = folder / "alone.safetensors", folder / "vae.safetensors"
    save_file(weights, alone)
    save_file({"pixel_space_vae": torch.tensor(1.0)}, vae)
    return weights, alone, vae


def test_models_in_separate_files(tmp_path):
    _, alone, vae = separate_files(tmp_path)
    for arguments, message in (
        ({}, "alone.safetensors has no text encoder: give one with --clip"),
        ({"vae": vae}, "alone.safetensors has no text encoder: give one with --clip"),
        ({"vae": tmp_path / "nowhere"}, "There is no file .*nowhere"),
        ({"clip": (alone,), "clip_type": "sd4"}, "no text encoder of type sd4. There are: stable_diffusion, "),
    ):
        with pytest.raises(ValueError, match=message):
            load(ModelFiles(diffusion_model=alone, **arguments))


def test_text_encoder_in_its_own_file(tmp_path):
    """All three are what the files hold. ComfyUI makes fewer blocks of the tiny model's file than are in it."""
    import comfy.sd1_clip
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    sizes = {name: w.shape for name, w in comfy.sd1_clip.SDClipModel(dtype=torch.float16).transformer.state_dict().items()}
    text = {name: torch.randn(size, generator=generator).half() for name, size in sizes.items()}
    weights, alone, vae = separate_files(tmp_path)
    save_file(text, tmp_path / "clip_l.safetensors")
    model, clip, decoder = load(ModelFiles(diffusion_model=alone, vae=vae, clip=(tmp_path / "clip_l.safetensors",)))
    loaded = clip.cond_stage_model.clip_l.transformer.state_dict()
    assert loaded.keys() == text.keys() and all(torch.equal(loaded[name].half(), w) for name, w in text.items())
    found = model.model.diffusion_model.state_dict()
    assert found and all(torch.equal(w.to(weights[name]), weights[name]) for name, w in found.items())
    assert decoder.decode(torch.zeros(1, 3, 8, 8)).shape == (1, 8, 8, 3)
