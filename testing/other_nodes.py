"""Other nodes that patch the same MODEL as ours: what tests/patching/test_beside_other_nodes.py tries and docs/compatibility.md lists.

Nodes of ComfyUI are the real ones. Packs that no registry of Python packages has are stood in for by a function that reaches the model
through the same hooks.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import comfy.lora
import comfy.sd
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy_extras import (
    nodes_apg,
    nodes_attention_multiply,
    nodes_cfg,
    nodes_easycache,
    nodes_eps,
    nodes_freelunch,
    nodes_fresca,
    nodes_hypertile,
    nodes_mahiro,
    nodes_model_advanced,
    nodes_model_downscale,
    nodes_model_merging,
    nodes_model_merging_model_specific,
    nodes_pag,
    nodes_perpneg,
    nodes_sag,
    nodes_sd3,
    nodes_slg,
    nodes_tcfg,
    nodes_tomesd,
)

U_NET, MMDIT, FLUX = "sdxl", "sd3", "flux"
EVERY = (U_NET, MMDIT, FLUX)
JOINT = (MMDIT, FLUX)


@dataclass(frozen=True)
class Other:
    """hook: how it reaches the model. patch(bench): what it makes of bench.model(MODEL): MODEL -> MODEL. on: models on which it does
    something; elsewhere it must change no bit. fails: models that it cannot be used with, ours or not. own_run: joint attention needs the
    target's own run, because a call beside the source's would be taken for one of its steps."""

    name: str
    hook: str
    patch: Callable
    on: tuple[str, ...] = EVERY
    fails: tuple[str, ...] = ()
    own_run: bool = False
    needs: str = ""  # ComfyUI's version, if newer than the oldest that is supported


def node(kind, *values):
    """What a node makes of a MODEL, whichever of ComfyUI's ways it is written in."""

    def patch(model, bench=None):
        result = kind.execute(model, *values) if hasattr(kind, "execute") else getattr(kind(), kind.FUNCTION)(model, *values)
        return result.args[0] if hasattr(result, "args") else result[0]

    return patch


def lora_weights(model):
    """A LoRA of the text projections of every layer."""
    weights, rng = {}, torch.Generator().manual_seed(0)
    for key, value in model.model.diffusion_model.state_dict().items():
        if key.endswith((".attn2.to_k.weight", ".attn2.to_v.weight", ".context_block.attn.qkv.weight", ".txt_attn.qkv.weight")):
            name = "diffusion_model." + key.removesuffix(".weight")
            weights[name + ".lora_down.weight"] = 0.3 * torch.randn(4, value.shape[1], generator=rng)
            weights[name + ".lora_up.weight"] = 0.3 * torch.randn(value.shape[0], 4, generator=rng)
    assert weights
    return weights


def lora(model, bench=None):
    return comfy.sd.load_lora_for_models(model, None, lora_weights(model), 1.0, 0.0)[0]


def lora_by_blocks(model, bench):
    """LoRA Block Weight: add_patches with a strength for each block."""
    patches = comfy.lora.load_lora(lora_weights(model), comfy.lora.model_lora_keys_unet(model.model, {}))
    patched = model.clone()
    for number, (key, patch) in enumerate(patches.items()):
        patched.add_patches({key: patch}, (0.0, 1.0, 0.5)[number % 3])
    return patched


def merge(model, bench):
    """The merging node of each architecture, with a LoRA of the model as the second one."""
    second = lora(bench.model)
    if bench.name == U_NET:
        return nodes_model_merging.ModelMergeBlocks().merge(model, second, input=0.2, middle=0.9, out=0.5)[0]
    if bench.name == MMDIT:
        ratios = {"joint_blocks.3.": 0.2, "joint_blocks.4.": 0.5}
        return nodes_model_merging_model_specific.ModelMergeSD3_2B().merge(model, second, **{"pos_embed.": 1.0, **ratios})[0]
    return nodes_model_merging.ModelMergeSimple().merge(model, second, 0.4)[0]


def skip_layers(layers):
    return node(nodes_slg.SkipLayerGuidanceDiT, 3.0, 0.0, 1.0, layers, layers, 0.0)


def perp_neg(model, bench):
    return node(nodes_perpneg.PerpNeg, [[0.3 * bench.negative[0][0], bench.negative[0][1]]], 1.0)(model)


def normalized_attention(model, bench):
    from comfy_extras.nodes_nag import NAGuidance

    return node(NAGuidance, 5.0, 0.5, 1.5)(model)


def context_windows(model, bench):
    """Of rows of the picture; nodes use them on frames of a video."""
    import comfy.context_windows as windows

    patched = model.clone()
    patched.model_options["context_handler"] = windows.IndexListContextHandler(
        context_schedule=windows.get_matching_context_schedule(windows.ContextSchedules.STATIC_STANDARD),
        fuse_method=windows.get_matching_fuse_method(windows.ContextFuseMethods.PYRAMID),
        context_length=max(bench.noise.shape[2] // 2, 4), context_overlap=0, context_stride=1, closed_loop=False, dim=2,
    )  # fmt: skip
    return patched


def ip_adapter(model, bench):
    """Owns every attn2 and adds an attention over tokens of a picture to it."""
    patched = model.clone()
    rng = torch.Generator()

    def replace(q, k, v, extra_options):
        out = optimized_attention(q, k, v, extra_options["n_heads"])
        tokens = torch.randn(1, 4, k.shape[-1], generator=rng.manual_seed(k.shape[-1])).expand(len(q), -1, -1)
        return out + optimized_attention(q, tokens, tokens, extra_options["n_heads"])

    for block in (("input", 4), ("input", 5), ("middle", 0), ("output", 0), ("output", 1), ("output", 2), ("output", 3)):
        patched.set_model_attn2_replace(replace, *block)
    return patched


def ip_adapter_of_blocks(model, bench):
    """Owns every block and adds an attention over tokens of a picture to what it does with the picture."""
    patched = model.clone()
    rng = torch.Generator()

    def replace(args, extra_options):
        out = extra_options["original_block"](args)
        image = out["img"]
        tokens = torch.randn(1, 4, image.shape[-1], generator=rng.manual_seed(1)).expand(len(image), -1, -1)
        return out | {"img": image + 0.1 * optimized_attention(image, tokens, tokens, 2)}

    for number in range(6):
        patched.set_model_patch_replace(replace, "dit", "double_block", number)
    return patched


def hypernetwork(model, bench):
    """A patch of attn2's context."""
    patched = model.clone()
    patched.set_model_attn2_patch(lambda q, context, value, extra_options: (q, context * 1.1, value * 0.9))
    return patched


def attention_couple(model, bench):
    """Regions of the picture with prompts of their own in one call: the positive rows once more for each region, joined by masks."""
    patched = model.clone()
    region = bench.negative[0][0].flip(1)

    def each_region(q, context, value, extra_options):
        sides = extra_options["cond_or_uncond"]
        out = [[], [], []]
        for chunk, side in enumerate(sides):
            for parts, whole in zip(out, (q, context, value), strict=True):
                part = whole.chunk(len(sides))[chunk]
                parts.append(part)
                if side == 0:
                    parts.append(part if whole is q else region.expand(len(part), -1, -1))
        return tuple(map(torch.cat, out))

    def join(out, extra_options):
        sides = extra_options["cond_or_uncond"]
        rows = len(out) // (len(sides) + sides.count(0))
        parts, joined = list(out.split(rows)), []
        for side in sides:
            part = parts.pop(0)
            if side == 0:
                left = torch.arange(part.shape[1])[:, None] % 8 < 4
                part = torch.where(left, part, parts.pop(0))
            joined.append(part)
        return torch.cat(joined)

    patched.set_model_attn2_patch(each_region)
    patched.set_model_attn2_output_patch(join)
    return patched


class _Shared(torch.nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.own = [attention]

    def forward(self, x, context=None, value=None, **kwargs):
        return self.own[0](x, context=context, value=value, **kwargs) + 0.1 * x


def attention_modules(model, bench):
    """An object patch of the text layers' modules themselves."""
    patched = model.clone()
    for name in (f"{block}.1.transformer_blocks.0.attn2" for block in ("input_blocks.3", "middle_block", "output_blocks.0")):
        key = f"diffusion_model.{name}"
        patched.add_object_patch(key, _Shared(patched.get_model_object(key)))
    return patched


def attention_function(model, bench):
    """An attention function of its own."""
    patched = model.clone()

    def scaled(func, q, k, v, heads, *args, **kwargs):
        return 1.1 * func(q, k, v, heads, *args, **kwargs)

    patched.model_options["transformer_options"]["optimized_attention_override"] = scaled
    return patched


def step_cache(model, bench):
    """Calls the model only when its input has changed enough, and adds the last change to the input otherwise."""
    patched = model.clone()
    kept = {}

    def around(apply, args):
        x, t = args["input"], float(args["timestep"][0])
        if t > kept.get("t", float("inf")):  # another run has begun
            kept.clear()
        if kept and t < kept["t"] and not kept["skipped"] and (x - kept["x"]).abs().mean() < 2 * kept["x"].abs().mean():
            kept.update(t=t, skipped=True)
            return x + kept["change"]
        out = apply(x, args["timestep"], **args["c"])
        kept.update(t=t, x=x, change=out - x, skipped=False)
        return out

    patched.set_model_unet_function_wrapper(around)
    return patched


def block_cache(model, bench):
    """A forward of Flux that gives its blocks no options, and adds what they did the last time when the picture has hardly changed."""
    patched = model.clone()
    diffusion_model = model.model.diffusion_model
    kept = {}

    def cached(*args, **more):
        given = inspect.signature(type(diffusion_model).forward_orig).bind(diffusion_model, *args, **more)
        given.arguments["transformer_options"] = {}
        img, t = given.arguments["img"], float(given.arguments["timesteps"][0])
        if t > kept.get("t", float("inf")):  # another run has begun
            kept.clear()
        if kept and not kept["skipped"] and (img - kept["img"]).abs().mean() < 2 * kept["img"].abs().mean():
            kept.update(t=t, skipped=True)
            return kept["out"]
        out = type(diffusion_model).forward_orig(*given.args, **given.kwargs)
        kept.update(t=t, img=img, out=out, skipped=False)
        return out

    def around(apply, args):
        diffusion_model.forward_orig = cached
        try:
            return apply(args["input"], args["timestep"], **args["c"])
        finally:
            del diffusion_model.forward_orig

    patched.set_model_unet_function_wrapper(around)
    return patched


WEIGHTS = "patches of weights"
AFTER_CFG = "a function after CFG"
BEFORE_CFG = "a function before CFG"
SAMPLING = "another model_sampling"
OUTSIDE = {AFTER_CFG, BEFORE_CFG, SAMPLING}  # of the model's call, to which no model matters: tried on U-Net and Flux alone
SELF = "patches of self-attention"
CALLS_AGAIN = "calls the model again after CFG"

NODES = [
    Other("Load LoRA", WEIGHTS, lora),
    Other("LoRA Block Weight (Inspire Pack)", "patches of weights, a strength for each block", lora_by_blocks),
    Other("ModelMergeSimple, ModelMergeBlocks, ModelMergeSD3_2B and the like", WEIGHTS, merge),
    Other("FreeU", "patches of output blocks", node(nodes_freelunch.FreeU, 1.1, 1.2, 0.9, 0.2), (U_NET,), fails=JOINT),
    Other("FreeU_V2", "patches of output blocks", node(nodes_freelunch.FreeU_V2, 1.3, 1.4, 0.9, 0.2), (U_NET,), fails=JOINT),
    Other("PatchModelAddDownscale (Kohya Deep Shrink)", "patches of input and output blocks",
          node(nodes_model_downscale.PatchModelAddDownscale, 2, 2.0, 0.0, 0.9, True, "bicubic", "bicubic"), (U_NET,)),
    Other("PerturbedAttentionGuidance", CALLS_AGAIN, node(nodes_pag.PerturbedAttentionGuidance, 3.0), (U_NET,)),
    Other("Self-Attention Guidance", CALLS_AGAIN, node(nodes_sag.SelfAttentionGuidance, 0.7, 2.0), (U_NET,), fails=JOINT),
    Other("NAGuidance", "a patch of self-attention's output", normalized_attention, (U_NET, FLUX), needs="0.30"),
    Other("SkipLayerGuidanceDiT", CALLS_AGAIN + ", with blocks replaced", skip_layers("1"), JOINT),
    *(Other(f"SkipLayerGuidanceDiT, {place} the text layer", CALLS_AGAIN + ", with blocks replaced", skip_layers(layers), (MMDIT,))
      for layers, place in (("3", "before"), ("4", "at"), ("5", "behind"))),
    Other("SkipLayerGuidanceDiTSimple", "calls the model of its own, with blocks replaced",
          node(nodes_slg.SkipLayerGuidanceDiTSimple, 0.0, 1.0, "1, 3", "1"), JOINT),
    Other("SkipLayerGuidanceSD3", CALLS_AGAIN + ", with blocks replaced", 
          node(nodes_sd3.SkipLayerGuidanceSD3, "3, 5", 3.0, 0.0, 1.0), (MMDIT,)),
    Other("Perp-Neg", "calls the model again, with a prompt of its own", perp_neg),
    Other("RescaleCFG", AFTER_CFG, node(nodes_model_advanced.RescaleCFG, 0.7)),
    Other("CFGZeroStar", AFTER_CFG, node(nodes_cfg.CFGZeroStar)),
    Other("CFGNorm", AFTER_CFG, node(nodes_cfg.CFGNorm, 0.7)),
    Other("TCFG", BEFORE_CFG, node(nodes_tcfg.TCFG)),
    Other("APG", BEFORE_CFG, node(nodes_apg.APG, 0.9, 0.5, -0.2)),
    Other("FreSca", BEFORE_CFG, node(nodes_fresca.FreSca, 0.8, 1.4, 3)),
    Other("Mahiro", AFTER_CFG, node(nodes_mahiro.Mahiro)),
    Other("EpsilonScaling", AFTER_CFG, node(nodes_eps.EpsilonScaling, 1.05)),
    Other("TemporalScoreRescaling", AFTER_CFG, node(nodes_eps.TemporalScoreRescaling, 0.8, 1.0)),
    Other("ModelSamplingDiscrete", SAMPLING, node(nodes_model_advanced.ModelSamplingDiscrete, "v_prediction", True)),
    Other("ModelSamplingContinuousEDM", SAMPLING, node(nodes_model_advanced.ModelSamplingContinuousEDM, "eps", 10.0, 0.1)),
    Other("ModelSamplingSD3", SAMPLING, node(nodes_model_advanced.ModelSamplingSD3, 1.5)),
    Other("HyperTile", SELF, node(nodes_hypertile.HyperTile, 32, 1, 1, False), (U_NET,), fails=(FLUX,)),
    Other("TomePatchModel", SELF + " at full resolution, where SDXL has none", node(nodes_tomesd.TomePatchModel, 0.5), (), fails=(FLUX,)),
    Other("UNetSelfAttentionMultiply", WEIGHTS, node(nodes_attention_multiply.UNetSelfAttentionMultiply, 1.1, 0.9, 1.1, 1.0), (U_NET,)),
    Other("UNetCrossAttentionMultiply", WEIGHTS, node(nodes_attention_multiply.UNetCrossAttentionMultiply, 1.1, 0.9, 1.1, 1.0), (U_NET,)),
    Other("Context windows", "calls the model for parts of the latents", context_windows),
    Other("EasyCache", "leaves out calls, inside the model's call", 
          node(nodes_easycache.EasyCacheNode, 3.0, 0.0, 1.0, False), (U_NET, FLUX)),
    Other("LazyCache", "leaves out calls, outside of the model's call", node(nodes_easycache.LazyCacheNode, 3.0, 0.0, 1.0, False)),
]  # fmt: skip
STAND_INS = [
    Other("IPAdapter, InstantID, PuLID for SDXL", "replaces attn2", ip_adapter, (U_NET,)),
    Other("IPAdapter for SD3 and Flux", "replaces blocks", ip_adapter_of_blocks, JOINT),
    Other("Hypernetworks", "a patch of attn2's text", hypernetwork, (U_NET,)),
    Other("Attention Couple (cgem156, ppm, Prompt Control)", "patches of attn2 and of its output", attention_couple, (U_NET,)),
    Other("Layer Diffusion's shared attention", "object patches of attn2", attention_modules, (U_NET,), fails=JOINT),
    Other("SageAttention and other attention functions", "an override of the attention function", attention_function),
    Other("TeaCache and First Block Cache (WaveSpeed) for Flux", "a forward of its own, around the model's call", block_cache, (FLUX,),
          fails=(U_NET, MMDIT), own_run=True),
    Other("A step cache around the model's call", "a function around the model's call", step_cache),
]  # fmt: skip
