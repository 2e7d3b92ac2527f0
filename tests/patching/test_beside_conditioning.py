"""What comes with a prompt instead of with the model: ControlNet, GLIGEN, LoRAs by hooks, time ranges, areas, masks."""

import comfy.cldm.cldm
import comfy.cldm.mmdit
import comfy.controlnet
import comfy.gligen
import comfy.hooks
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.sample
import pytest
import torch
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion
from text_layers.testing import oracle_fixture, other_nodes
from text_layers.testing.beside import bench, differs, plain
from text_layers.testing.tiny_models.model import fill

import nodes

from ..conftest import ORACLE


def with_values(conditioning, **values):
    return [[embeddings, extra | values] for embeddings, extra in conditioning]


def encoded_again(conditioning):
    """The same text, in new tensors."""
    return [[embeddings.clone(), {k: v.clone() for k, v in extra.items() if torch.is_tensor(v)}] for embeddings, extra in conditioning]


def control_net(name):
    """ControlNetApplyAdvanced with a tiny random ControlNet: conditioning -> conditioning."""
    config = oracle_fixture.config(ORACLE / name)["unet_config"]
    operations = comfy.ops.disable_weight_init
    if name == "sdxl":
        config = {key: value for key, value in config.items() if key not in ("out_channels", "use_temporal_attention")}
        model, ratio = comfy.cldm.cldm.ControlNet(hint_channels=3, num_head_channels=64, operations=operations, **config), 8
    else:
        # One whose hint is a picture: the real ones take its latents, for which a VAE would be needed.
        model = comfy.cldm.mmdit.ControlNet(
            control_latent_channels=3, dtype=torch.float32, operations=operations, **(config | {"num_blocks": 2})
        )
        ratio = 1
    fill(model)
    device = comfy.model_management.get_torch_device()
    net = comfy.controlnet.ControlNet(model.eval(), compression_ratio=ratio, load_device=device)
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    return lambda conditioning: nodes.ControlNetApplyAdvanced().apply_controlnet(conditioning, conditioning, net, picture, 0.8, 0.0, 1.0)[0]


def gligen(name):
    """GLIGENTextboxApply with tiny random weights: conditioning -> conditioning."""
    model = bench(name).model
    transformers = [m.transformer_blocks[0] for m in model.model.diffusion_model.modules() if hasattr(m, "transformer_blocks")]
    widths = [block.norm1.normalized_shape[0] for block in transformers]
    width = bench(name).source[0][0].shape[-1]
    added = [comfy.gligen.GatedSelfAttentionDense(own, width, 2, own // 2) for own in widths]
    net = comfy.gligen.Gligen(added, comfy.gligen.PositionNet(width, width), width)
    fill(net)
    for module in net.module_list:
        torch.nn.init.constant_(module.alpha_attn, 0.5)
    patcher = comfy.model_patcher.ModelPatcher(
        net, load_device=comfy.model_management.get_torch_device(), offload_device=torch.device("cpu")
    )
    phrase = torch.randn(1, width, generator=torch.Generator().manual_seed(2))
    return lambda conditioning: with_values(conditioning, gligen=("position", patcher, [(phrase, 8, 8, 4, 4)]))


MAKERS = {"ControlNet": (control_net, ("sdxl", "sd3")), "GLIGEN": (gligen, ("sdxl",))}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, (_, names) in MAKERS.items() for name in names])
def test_control(kind, name):
    """It is the source's for the target, too, whatever the target brings."""
    beside = bench(name)
    add = MAKERS[kind][0](name)
    source, negative, target = add(beside.source), add(beside.negative), add(beside.target)

    def draw(model):
        return beside.draw(model, source, negative)

    alone = draw(beside.model)
    assert differs(alone, plain(name))
    for method in beside.methods:
        for same in (source, encoded_again(beside.source)):
            assert torch.equal(draw(beside.edit(beside.model, same, beside.everything(), method)), alone)
        edit = draw(beside.edit(beside.model, target, method=method))
        assert differs(edit, alone)
        assert torch.equal(edit, draw(beside.edit(beside.model, beside.target, method=method)))
    assert torch.equal(beside.draw(beside.model), plain(name))


def lora_hooks(model, strengths=(1.0, 0.3)):
    """A new group each time, as each prompt node makes one: a LoRA whose strength changes in the middle."""
    hooks = comfy.hooks.create_hook_lora(other_nodes.lora_weights(model), 1.0, 0.0)
    frames = comfy.hooks.HookKeyframeGroup()
    for strength, start in zip(strengths, (0.0, 0.5), strict=True):
        frames.add(comfy.hooks.HookKeyframe(strength=strength, start_percent=start))
    hooks.set_keyframes_on_hooks(frames)
    return hooks


@pytest.mark.parametrize("name", ["sdxl", "flux"])
def test_lora_hooks(name):
    """Those of the source are the target's, too; a target with others is refused."""
    beside = bench(name)

    def hooked(conditioning, **options):
        return comfy.hooks.set_hooks_for_conditioning(conditioning, lora_hooks(beside.model, **options))

    source = hooked(beside.source)

    def draw(model):
        return beside.draw(model, source, steps=4)

    alone = draw(beside.model)
    unhooked = beside.draw(beside.model, steps=4)
    assert differs(alone, unhooked)
    for method in beside.methods:
        for same in (source, encoded_again(beside.source)):
            assert torch.equal(draw(beside.edit(beside.model, same, beside.everything(), method)), alone)
        assert differs(draw(beside.edit(beside.model, beside.target, method=method)), alone)
        for target, positive in ((hooked(beside.target, strengths=(0.5, 0.1)), source), (hooked(beside.target), beside.source)):
            with pytest.raises(ValueError, match=r"LoRA|hook"):
                beside.draw(beside.edit(beside.model, target, method=method), positive, steps=4)
    assert torch.equal(beside.draw(beside.model, steps=4), unhooked)


@pytest.mark.parametrize("name", ["sdxl", "flux"])
def test_time_ranges(name):
    """ConditioningSetTimestepRange: entry by entry, each where it is at work; one target serves them all."""
    beside = bench(name)

    def scheduled(first, second):
        return with_values(first, start_percent=0.0, end_percent=0.5) + with_values(second, start_percent=0.5, end_percent=1.0)

    source = scheduled(beside.source, beside.negative)

    def draw(model):
        return beside.draw(model, source, steps=4)

    alone = draw(beside.model)
    for method in beside.methods:
        same = scheduled(encoded_again(beside.source), encoded_again(beside.negative))
        assert torch.equal(draw(beside.edit(beside.model, same, beside.everything(), method)), alone)
        one = draw(beside.edit(beside.model, method=method))
        assert differs(one, alone)
        assert torch.equal(draw(beside.edit(beside.model, scheduled(beside.target, beside.target), method=method)), one)
        assert differs(draw(beside.edit(beside.model, scheduled(beside.source, beside.target), method=method)), one)


@pytest.mark.parametrize("name", ["sdxl", "flux"])
def test_differential_diffusion(name):
    beside = bench(name)
    mask = torch.linspace(0, 1, beside.noise.shape[-1]).expand(1, 1, *beside.noise.shape[-2:]).contiguous()

    def draw(model):
        return comfy.sample.sample(
            model, beside.noise, 4, 5.0, "euler", "normal", beside.source, beside.negative, torch.full_like(beside.noise, 0.1),
            noise_mask=mask, disable_pbar=True, seed=3,
        )  # fmt: skip

    other = other_nodes.node(DifferentialDiffusion)
    alone = draw(other(beside.model))
    assert differs(alone, draw(beside.model))
    for method in beside.methods:
        assert torch.equal(draw(beside.edit(other(beside.model), beside.source, beside.everything(), method)), alone)
        before, after = draw(beside.edit(other(beside.model), method=method)), draw(other(beside.edit(beside.model, method=method)))
        assert torch.equal(before, after) and differs(before, alone)
