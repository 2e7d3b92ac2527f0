"""Names, order and parameter share of the text layers at full size, and which architecture is which."""

import comfy.sample
import comfy.supported_models
import pytest
import torch
from text_layers.patching import models
from text_layers.patching.adapters import mmdit, unet
from text_layers.patching.patch import patch_prompt
from text_layers.testing import full_size
from text_layers.testing.full_size import on_meta


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("config", "count", "architecture"),
    [
        ("SD15", 16, "unet-16x768"),
        ("SD21", 16, "unet-16x1024"),
        ("SDXL", 70, "unet-70x2048"),
        ("SD3_MEDIUM", 24, "mmdit-24x1536"),
        ("SD35_MEDIUM", 24, "mmdit-24x1536+attn2"),
        ("SD35_LARGE", 38, "mmdit-38x2432"),
    ],
)
def test_number_of_layers(config, count, architecture):
    model = full_size.Looked(on_meta(getattr(full_size, config)))
    assert len(models.layer_names(model)) == count
    assert models.architecture(model) == architecture


def test_sdxl():
    model = full_size.Looked(on_meta(full_size.SDXL))
    names = models.layer_names(model)
    assert names[0] == "input_blocks.4.1.transformer_blocks.0.attn2"
    assert names[24] == "middle_block.1.transformer_blocks.0.attn2"
    assert names[34] == "output_blocks.0.1.transformer_blocks.0.attn2"
    assert names[55:58] == [f"output_blocks.2.1.transformer_blocks.{i}.attn2" for i in (1, 2, 3)]
    preset = models.preset(model)
    assert list(preset.names) == names[55:58]
    chosen = [model.diffusion_model.get_submodule(n) for n in preset.names]
    share = sum(parameters(m.to_k) + parameters(m.to_v) for m in chosen) / parameters(model.diffusion_model)
    assert round(100 * share, 2) == 0.61  # the paper's figure


def test_sd3_medium():
    model = full_size.Looked(on_meta(full_size.SD3_MEDIUM))
    preset = models.preset(model)
    assert preset.names == ("joint_blocks.10",)
    qkv = model.diffusion_model.joint_blocks[10].context_block.attn.qkv
    share = parameters(qkv) * 2 / 3 / parameters(model.diffusion_model)
    assert round(100 * share, 2) == 0.23  # the paper's figure


@pytest.mark.parametrize("config", ["SD15", "SD21", "SD35_MEDIUM", "SD35_LARGE"])
def test_no_preset_where_none_is_published(config):
    with pytest.raises(ValueError, match="No text layers are published"):
        models.preset(full_size.Looked(on_meta(getattr(full_size, config))))


def test_the_papers_names_are_those_of_diffusers():
    """up_blocks.0.attentions.2.transformer_blocks.{1,2,3} in diffusers' names, through ComfyUI's own key map."""
    from comfy.utils import unet_to_diffusers

    keys = unet_to_diffusers(full_size.SDXL)
    for i in (1, 2, 3):
        theirs = f"up_blocks.0.attentions.2.transformer_blocks.{i}.attn2.to_k.weight"
        assert keys[theirs] == f"output_blocks.2.1.transformer_blocks.{i}.attn2.to_k.weight"


def test_an_unknown_architecture_is_named():
    with pytest.raises(ValueError, match=r"Linear.*not supported.*SDXL.*Stable Diffusion 3"):
        models.family_of(full_size.Looked(torch.nn.Linear(1, 1)))


@pytest.mark.parametrize("family", [unet.FAMILY, mmdit.FAMILY])
def test_a_family_does_not_own_the_others_models(family):
    others = {"unet": full_size.SD3_MEDIUM, "mmdit": full_size.SD15}
    assert not family.owns(on_meta(others[family.name]))


def test_enumeration_is_execution_order(oracle):
    """The attention modules as they run, seen by forward hooks."""
    seen = []
    names = models.layer_names(oracle.model)
    suffix = "" if names[0].endswith("attn2") else ".x_block.attn.qkv"
    handles = [
        oracle.model.model.diffusion_model.get_submodule(name + suffix).register_forward_hook(lambda *_, name=name: seen.append(name))
        for name in reversed(names)
    ]
    comfy.sample.sample(oracle.model, oracle.noise, 1, 1.0, "euler", "normal", oracle.positive_A, oracle.negative,
                        torch.zeros_like(oracle.noise), disable_pbar=True)  # fmt: skip
    for handle in handles:
        handle.remove()
    assert seen == names


TEXT = 7  # tokens, unlike the 4 and the 1 of a latent of 4 x 4


@pytest.mark.any_comfyui
def test_sdxl_changes_exactly_the_chosen_layers():
    """One step of the real U-Net, a tenth as wide, with random weights in bfloat16."""
    patcher = full_size.random_model(comfy.supported_models.SDXL, full_size.SDXL | {"model_channels": 32})
    prompts = [[[torch.randn(1, TEXT, 2048), {"pooled_output": torch.randn(1, 1280)}]] for _ in "AB"]

    def keys_and_values(patched):
        seen = []

        def look(func, q, k, v, heads, *args, **kwargs):
            seen.append((k.clone(), v.clone()))
            return func(q, k, v, heads, *args, **kwargs)

        patched = patched.clone()
        patched.model_options["transformer_options"]["optimized_attention_override"] = look
        comfy.sample.sample(patched, torch.ones(1, 4, 4, 4), 1, 1.0, "euler", "normal", prompts[0], prompts[0],
                            torch.zeros(1, 4, 4, 4), disable_pbar=True)  # fmt: skip
        return [pair for pair in seen if pair[0].shape[1] == TEXT]

    plain = keys_and_values(patcher)
    edit = keys_and_values(patch_prompt(patcher, models.preset(patcher), prompts[1]))
    assert len(plain) == len(edit) == 70
    changed = [i for i, (a, b) in enumerate(zip(plain, edit, strict=True)) if not all(map(torch.equal, a, b))]
    assert changed == [55, 56, 57]
