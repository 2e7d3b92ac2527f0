"""The demo models, made deep: blocks that do nothing are put between the trained ones, at random places.

load   (MODEL, CLIP, VAE) of any depth that draws exactly what the demo model draws, and where its layers have gone

A search of a deep model has a known answer, and each of its calls costs what a call of a deep model costs.
"""

import random

import comfy.utils
import torch

from ..demo import architecture, comfy_model


def load(name, layers, seed=0):
    """((MODEL, CLIP, VAE), new number of each trained layer). layers: how many text layers the model should have.

    Raises ValueError for fewer than the demo model has.
    """
    weights = comfy.utils.load_torch_file(str(comfy_model.WEIGHTS / f"{name}.safetensors"))
    rng = random.Random(f"{name} {layers} {seed}")
    deepen = {"unet": _unet, "mmdit": _mmdit}[name]
    config, renamed, places = deepen(weights, layers, rng)
    model, clip, vae = comfy_model.from_state_dict(name, renamed, config)
    return (model, clip, vae), places


def _spread(places, layers, rng):
    """How many of `layers` fall to each of `places`, at least one each."""
    if layers < places:
        raise ValueError(f"The model has {places} text layers; it cannot have {layers}.")
    counts = [1] * places
    for _ in range(layers - places):
        counts[rng.randrange(places)] += 1
    return counts


def _unet(weights, layers, rng):
    """More transformer blocks in each place that has one; those that do nothing have output projections of zero."""
    prefix = "diffusion_model."
    found = sorted({k.split(".transformer_blocks.")[0][len(prefix) :] for k in weights if ".transformer_blocks." in k}, key=_order)
    counts = dict(zip(found, _spread(len(found), layers, rng), strict=True))
    real = {spot: rng.randrange(count) for spot, count in counts.items()}
    renamed = {k: v for k, v in weights.items() if ".transformer_blocks." not in k}
    for spot in found:
        before = f"{prefix}{spot}.transformer_blocks."
        block = {k[len(before) + 2 :]: v for k, v in weights.items() if k.startswith(before)}
        for number in range(counts[spot]):
            for key, value in block.items():
                idle = number != real[spot] and key.startswith(("attn1.to_out.0.", "attn2.to_out.0.", "ff.net.2."))
                renamed[f"{before}{number}.{key}"] = torch.zeros_like(value) if idle else value
    by_kind = {kind: [counts[spot] for spot in found if spot.startswith(kind)] for kind in ("input", "middle", "output")}
    config = {
        **architecture.UNET,
        "transformer_depth": _filled(architecture.UNET["transformer_depth"], by_kind["input"]),
        "transformer_depth_middle": by_kind["middle"][0],
        # ComfyUI takes the output side's from the end.
        "transformer_depth_output": _filled(architecture.UNET["transformer_depth_output"], by_kind["output"][::-1]),
    }
    places, before = [], 0
    for spot in found:
        places.append(before + real[spot])
        before += counts[spot]
    return config, renamed, places


def _order(spot):
    kind, *rest = spot.split(".")
    return ("input_blocks", "middle_block", "output_blocks").index(kind), *map(int, rest)


def _filled(depths, counts):
    """The configuration's depths with each nonzero one replaced by the next count."""
    counts = iter(counts)
    return [next(counts) if depth else 0 for depth in depths]


def _mmdit(weights, layers, rng):
    """More joint blocks before the last one, whose form is its own; those that do nothing have gates of zero."""
    prefix = "diffusion_model.joint_blocks."
    trained = architecture.MMDIT["num_blocks"]
    places = [*sorted(rng.sample(range(layers - 1), trained - 1)), layers - 1]
    renamed = {k: v for k, v in weights.items() if not k.startswith(prefix)}
    idle = {k[len(prefix) + 2 :]: v for k, v in weights.items() if k.startswith(prefix + "0.")}
    for number in range(layers):
        if number in places:
            own = f"{prefix}{places.index(number)}."
            renamed.update({f"{prefix}{number}.{k[len(own) :]}": v for k, v in weights.items() if k.startswith(own)})
        else:
            renamed.update({f"{prefix}{number}.{k}": torch.zeros_like(v) if "adaLN_modulation" in k else v for k, v in idle.items()})
    return {**architecture.MMDIT, "num_blocks": layers}, renamed, places
