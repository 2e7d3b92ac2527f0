"""Our node before and after nodes that patch the same model: LoRA, FreeU, PAG, NAG, SLG, hypernetworks, IPAdapter's way."""

import comfy.patcher_extension
import comfy.sample
import comfy.sd
import pytest
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy_extras.nodes_cfg import CFGZeroStar
from comfy_extras.nodes_freelunch import FreeU, FreeU_V2
from comfy_extras.nodes_model_advanced import RescaleCFG
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from comfy_extras.nodes_slg import SkipLayerGuidanceDiT
from text_layers.patching import families
from text_layers.patching.swap import METHODS, patch_prompt

INDEX = 4  # the patched layer


def draw(fixture, model, steps=3, positive=None):
    return comfy.sample.sample(
        model, fixture.noise, steps, 5.0, "euler", "normal", positive or fixture.positive_A, fixture.negative,
        torch.zeros_like(fixture.noise), disable_pbar=True, seed=3,
    )  # fmt: skip


def ours(model, positive, indices=str(INDEX), method=METHODS[0]):
    return patch_prompt(model, families.written(model, indices), positive, method=method)


def lora(model):
    """ComfyUI's own LoRA loading, on the text projections of every layer."""
    weights, rng = {}, torch.Generator().manual_seed(0)
    for key, value in model.model.diffusion_model.state_dict().items():
        if key.endswith((".attn2.to_k.weight", ".attn2.to_v.weight", ".context_block.attn.qkv.weight")):
            name = "diffusion_model." + key.removesuffix(".weight")
            weights[name + ".lora_down.weight"] = 0.3 * torch.randn(4, value.shape[1], generator=rng)
            weights[name + ".lora_up.weight"] = 0.3 * torch.randn(value.shape[0], 4, generator=rng)
    assert weights
    patched, _ = comfy.sd.load_lora_for_models(model, None, weights, 1.0, 0.0)
    return patched


def ip_adapter(model):
    """What IPAdapter packs do: own an attn2 through attn2_replace and add an attention over image tokens to it."""
    patched = model.clone()
    rng = torch.Generator().manual_seed(1)

    def replace(q, k, v, extra_options):
        out = optimized_attention(q, k, v, extra_options["n_heads"])
        tokens = torch.randn(1, 4, k.shape[-1], generator=rng.manual_seed(k.shape[-1])).expand(len(q), -1, -1)
        return out + optimized_attention(q, tokens, tokens, extra_options["n_heads"])

    for block in (("input", 4), ("input", 5), ("middle", 0), ("output", 0), ("output", 1), ("output", 2), ("output", 3)):
        patched.set_model_attn2_replace(replace, *block)
    return patched


def hypernetwork(model):
    """A patch of attn2's context, as hypernetworks and other prompt packs set."""
    patched = model.clone()
    patched.set_model_attn2_patch(lambda q, context, value, extra_options: (q, context * 1.1, value * 0.9))
    return patched


def attention_override(model):
    """A pack that brings its own attention function (SageAttention and the like)."""
    patched = model.clone()

    def scaled(func, q, k, v, heads, *args, **kwargs):
        return 1.1 * func(q, k, v, heads, *args, **kwargs)

    patched.model_options["transformer_options"]["optimized_attention_override"] = scaled
    return patched


def free_u(node, *values):
    """A node of ComfyUI's first kind in 0.3."""
    return lambda model: node.execute(model, *values).args[0] if hasattr(node, "execute") else node().patch(model, *values)[0]


def normalized_guidance(model):
    from comfy_extras.nodes_nag import NAGuidance

    return NAGuidance.execute(model, 5.0, 0.5, 1.5).args[0]


ANY = {
    "LoRA": lora,
    "PAG": lambda m: PerturbedAttentionGuidance.execute(m, 3.0).args[0],
    "NAG": normalized_guidance,
    "RescaleCFG": lambda m: RescaleCFG().patch(m, 0.7)[0],
    "CFGZeroStar": lambda m: CFGZeroStar.execute(m).args[0],
    "attention override": attention_override,
}
UNET = {
    "FreeU": free_u(FreeU, 1.1, 1.2, 0.9, 0.2),
    "FreeU_V2": free_u(FreeU_V2, 1.3, 1.4, 0.9, 0.2),
    "IPAdapter's way": ip_adapter,
    "hypernetwork's way": hypernetwork,
}
MMDIT = {
    f"SLG {layers}": lambda m, layers=layers: SkipLayerGuidanceDiT.execute(m, 3.0, 0.0, 1.0, layers, "", 0.0).args[0]
    for layers in ("3", "4", "5")
}
# On a joint attention ComfyUI offers no place for these two, so there is nothing to meet.
WITHOUT_EFFECT_ON_MMDIT = {"PAG", "NAG"}
MARKS = {"NAG": pytest.mark.needs_comfyui("0.30")}
CASES = [pytest.param("sdxl", n, f, METHODS[0], marks=MARKS.get(n, ())) for n, f in (ANY | UNET).items()]
CASES += [("sd3", n, f, m) for n, f in (ANY | MMDIT).items() if n not in WITHOUT_EFFECT_ON_MMDIT for m in METHODS]


@pytest.mark.parametrize(("family", "name", "other", "method"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_before_and_after(request, family, name, other, method):
    fixture = request.getfixturevalue(family)
    plain = draw(fixture, fixture.model)
    with_other = draw(fixture, other(fixture.model))
    assert (with_other - plain).abs().max() > 1e-3 * plain.abs().max(), "the other node does something here"
    everything = f"0-{len(families.layer_names(fixture.model)) - 1}"
    same = ours(other(fixture.model), fixture.positive_A, everything, method)
    assert torch.equal(draw(fixture, same), with_other)
    before = draw(fixture, ours(other(fixture.model), fixture.positive_B, method=method))
    after = draw(fixture, other(ours(fixture.model, fixture.positive_B, method=method)))
    assert torch.equal(before, after)
    for edit in (before, after):
        assert (edit - with_other).abs().max() > 1e-3 * with_other.abs().max()
    assert torch.equal(draw(fixture, fixture.model), plain)


@pytest.mark.parametrize("name", ["LoRA", "FreeU", "attention override", "IPAdapter's way", "hypernetwork's way"])
def test_the_patched_layer_attends_to_the_targets_keys_as_the_other_node_makes_them(sdxl, name):
    """Keys and values of the patched layer are those of a run of the target with the same other node."""
    other = (ANY | UNET)[name](sdxl.model)
    layer = other.model.diffusion_model.get_submodule(families.layer_names(other)[INDEX])

    def keys_and_values(model, positive):
        seen = []
        handles = [m.register_forward_hook(lambda _, __, out: seen.append(out.clone())) for m in (layer.to_k, layer.to_v)]
        draw(sdxl, model, 1, positive)
        for handle in handles:
            handle.remove()
        return seen

    target = keys_and_values(other, sdxl.positive_B)
    edit = keys_and_values(ours(other, sdxl.positive_B), sdxl.positive_A)
    source = keys_and_values(other, sdxl.positive_A)
    assert len(target) == 2 and all(map(torch.equal, edit, target)) and not any(map(torch.equal, edit, source))


def test_single_heads_under_an_ip_adapter_are_refused(sdxl):
    with pytest.raises(ValueError, match="single heads cannot be patched"):
        draw(sdxl, ours(ip_adapter(sdxl.model), sdxl.positive_B, f"{INDEX}:0"))


@pytest.mark.parametrize("family", ["sdxl", "sd3"])
def test_an_unknown_node_in_front_does_not_lose_ours(request, family):
    """Nodes that clone the model, set another sampling and add wrappers of their own around the model's call."""
    fixture = request.getfixturevalue(family)
    edit = draw(fixture, ours(fixture.model, fixture.positive_B))
    wrapped = ours(fixture.model, fixture.positive_B).clone()
    calls = []

    def count(executor, *args, **kwargs):
        calls.append(1)
        return executor(*args, **kwargs)

    for kind in (comfy.patcher_extension.WrappersMP.APPLY_MODEL, comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL):
        wrapped.add_wrapper_with_key(kind, "another pack", count)
    wrapped.set_model_unet_function_wrapper(lambda apply, args: apply(args["input"], args["timestep"], **args["c"]))
    assert torch.equal(draw(fixture, wrapped), edit)
    assert calls
