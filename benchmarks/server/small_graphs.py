"""The small graph in which the help page of each node shows it.

GRAPHS   node -> Small: what feeds it, what it feeds, and what is written into it
"""

from dataclasses import dataclass, field

DEMO, PROMPT, LATENT = "TextLayersLoadDemoModel", "CLIPTextEncode", "EmptyLatentImage"


@dataclass(frozen=True)
class Small:
    """before: input -> (node, its output's number); after: output's number -> [(node, its input)]; values: widget -> value."""

    before: dict[str, tuple[str, int]] = field(default_factory=dict)
    after: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    values: dict[str, object] = field(default_factory=dict)


_SAMPLER, _PREVIEW, _TEXT = ("KSampler", "model"), ("PreviewImage", "images"), ("PreviewAny", "source")
_PATCH_LAYERS = ("TextLayersPatchPrompt", "text_layers")
_MODEL, _CLIP, _VAE = (DEMO, 0), (DEMO, 1), (DEMO, 2)

GRAPHS = {
    "TextLayersChoose": Small({"model": _MODEL}, {0: [_PATCH_LAYERS]}),
    "TextLayersPatchPrompt": Small(
        {"model": _MODEL, "target": (PROMPT, 0), "text_layers": ("TextLayersChoose", 0)}, {0: [_SAMPLER]}, {"start_step": 2}
    ),
    "TextLayersReplaceWords": Small({"clip": _CLIP}, {0: [("KSampler", "positive")], 1: [("TextLayersPatchPrompt", "target")]}),
    "TextLayersReplaceMany": Small({"clip": _CLIP}, {0: [("KSampler", "positive")], 1: [("TextLayersPatchPrompt", "target")]}),
    "TextLayersComposite": Small(
        {"source": ("VAEDecode", 0), "edited": ("VAEDecode", 0), "source_latent": ("KSampler", 0), "edited_latent": ("KSampler", 0)},
        {0: [_PREVIEW]},
    ),
    "TextLayersLocalize": Small(
        {"model": _MODEL, "clip": _CLIP, "vae": _VAE, "latent_image": (LATENT, 0)},
        {0: [("TextLayersSave", "text_layers")], 1: [_PREVIEW], 2: [_PREVIEW], 3: [_TEXT]},
    ),
    "TextLayersCheckLayers": Small(
        {"model": _MODEL, "clip": _CLIP, "vae": _VAE, "text_layers": ("TextLayersChoose", 0), "latent_image": (LATENT, 0)},
        {0: [_PATCH_LAYERS], 1: [_TEXT]},
    ),
    "TextLayersLoadLora": Small(
        {"model": ("CheckpointLoaderSimple", 0), "clip": ("CheckpointLoaderSimple", 1), "text_layers": ("TextLayersChoose", 0)},
        {0: [_SAMPLER], 1: [("CLIPTextEncode", "clip")]},
    ),
    "TextLayersCutLora": Small(
        {"model": ("CheckpointLoaderSimple", 0), "text_layers": ("TextLayersChoose", 0)}, {0: [("SaveLoRA", "lora")]}
    ),
    "TextLayersTrainLora": Small(
        {
            "model": _MODEL,
            "latents": ("VAEEncode", 0),
            "positive": (PROMPT, 0),
            "text_layers": ("TextLayersChoose", 0),
        },
        {0: [("TextLayersSaveLora", "lora"), ("LoraModelLoader", "lora")], 1: [("LossGraphNode", "loss")], 3: [_PREVIEW]},
    ),
    "TextLayersSaveLora": Small({"lora": ("TextLayersTrainLora", 0)}),
    "TextLayersDrawTrainingSet": Small(after={0: [("VAEEncode", "pixels")], 1: [("CLIPTextEncode", "text")]}),
    "TextLayersMeasureEdit": Small({"source": ("VAEDecode", 0), "edited": ("VAEDecode", 0)}, {0: [_TEXT], 1: [_PREVIEW]}),
    "TextLayersGuard": Small(
        {"model": _MODEL, "clip": _CLIP, "text_layers": ("TextLayersChoose", 0)},
        {0: [_SAMPLER], 1: [_TEXT]},
        {"prompt": 'a red round sign that says "CRAP"', "replacement": "LOVE"},
    ),
    "TextLayersCheck": Small({"image": ("VAEDecode", 0)}, {1: [_TEXT], 3: [_PREVIEW]}),
    "TextLayersInvert": Small(
        {"guider": ("BasicGuider", 0), "sigmas": ("BasicScheduler", 0), "vae": _VAE, "image": ("LoadImage", 0)},
        {0: [("SamplerCustomAdvanced", "noise")], 2: [_PREVIEW]},
    ),
    "TextLayersMask": Small({"image": ("LoadImage", 0), "also": ("VAEDecode", 0)}, {0: [("ImageCompositeMasked", "mask")]}),
    "TextLayersSave": Small({"text_layers": ("TextLayersLocalize", 0)}, values={"filename": "my text layers"}),
    "TextLayersLoad": Small({"model": ("CheckpointLoaderSimple", 0)}, {0: [_PATCH_LAYERS]}),
    "TextLayersLoadDemoModel": Small(
        after={0: [("TextLayersPatchPrompt", "model")], 1: [("CLIPTextEncode", "clip")], 2: [("VAEDecode", "vae")]}
    ),
    "TextLayersLoadDeepFloydIF": Small(
        after={0: [("TextLayersPatchPrompt", "model")], 1: [("CLIPTextEncode", "clip")], 2: [("VAEDecode", "vae")]}
    ),
}
