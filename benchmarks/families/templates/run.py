"""Runs a template's samplers with ComfyUI's own nodes, on what loaded.py puts in the place of its files.

Run       evaluates outputs of a flat graph, each once
Missing   a node cannot be run here
Unserved  a model draws no words of a text
"""

import asyncio
import inspect

import torch
from comfy_api.latest import io

import nodes

from ....patching import models
from .graph import AFTER_A_SEED
from .loaded import Codec, Encoder, SoundCodec, heard, model_of, seen, speaking

WIDTH, HEIGHT, STEPS, FRAMES = 96, 64, 2, 5
SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
GUIDERS = ("BasicGuider", "CFGGuider", "DualCFGGuider", "DualModelGuider")
_FILES = ("UNETLoader", "CheckpointLoaderSimple", "ImageOnlyCheckpointLoader")
_CHOICE = "COMFY_DYNAMICCOMBO_V3"  # each of its options has inputs of its own
_WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", _CHOICE)
# Passed by: files of their own (a LoRA, a ControlNet), which are no part of the class.
_PASSED = {
    "LoraLoaderModelOnly": ("model",), "LoraLoader": ("model", "clip"), "ModelPatchLoader": (), "QwenImageDiffsynthControlnet": ("model",),
    "ZImageFunControlnet": ("model",), "AnimaLLLiteApply": ("model",), "ControlNetApplyAdvanced": ("positive", "negative"),
    "ControlNetInpaintingAliMamaApply": ("positive", "negative"), "StyleModelApply": ("conditioning",), "TorchCompileModel": ("model",),
    "unCLIPConditioning": ("conditioning",), "LTXVLatentUpsampler": ("samples",), "HunyuanVideo15LatentUpscaleWithModel": ("samples",),
}  # fmt: skip


class Missing(Exception):
    pass


class Unserved(Missing):
    pass


class Run:
    """graph: {id: Node}. tiny, kind: of the template's first model that draws pictures; left_out: types of nodes that were passed by."""

    def __init__(self, graph):
        self.graph, self.left_out = graph, set()
        self._done, self._models, self._tiny, self._plain = {}, {}, {}, {}
        known = [model_of(self._value(node, 0)) for node in graph.values() if node.type in _FILES]
        self.tiny, self.kind = next((one for one in known if one[0]), next((one for one in known if one[1]), (None, "")))

    def samplers(self):
        return [node for node in self.graph.values() if node.type in SAMPLERS]

    def leading(self, sampler):
        """The node that holds a sampler's model: itself, or its guider."""
        if sampler.type != "SamplerCustomAdvanced":
            return sampler
        key, _ = sampler.links["guider"]
        if self.graph[key].type not in GUIDERS:
            raise Missing(f"its guider is {self.graph[key].type}")
        return self.graph[key]

    def source(self, sampler):
        """CONDITIONING of the positive prompt."""
        given = self.inputs(self.leading(sampler))
        return next(given[name] for name in ("positive", "conditioning", "cond1") if name in given)

    def draw(self, sampler, patch=None):
        """Latents of one sampler, its model patched by a function MODEL -> MODEL and all before it as it was."""
        if patch is None and sampler.id in self._plain:
            return self._plain[sampler.id]
        given = self.inputs(sampler)
        leading = self.leading(sampler)
        if patch is not None:
            changed = self.inputs(leading)
            changed["model"] = patch(changed["model"])
            if changed.get("model_negative") is not None:
                changed["model_negative"] = patch(changed["model_negative"])
            given = changed if leading is sampler else {**given, "guider": self._call(leading, changed)[0]}
        drawn = self.tiny.together(self._call(sampler, given)[0]["samples"])
        if patch is None:
            self._plain[sampler.id] = drawn
        return drawn

    def output(self, link):
        key, slot = link
        if key not in self._done:
            node = self.graph[key]
            self._done[key] = self._stand_in(node) or self._call(node, self.inputs(node))
        return self._done[key][slot]

    def inputs(self, node):
        """{input: value} of a node, at the size at which tiny models are tried."""
        given = self._widgets(node)
        given |= {name: value for name, value in node.values.items() if value is not None}
        kinds = self._kinds(node)
        for name, link in node.links.items():
            if name in ("width", "height", "length") or kinds.get(name) in _GIVEN:
                continue
            given[name] = self.output(link)
        for name, value in (("width", WIDTH), ("height", HEIGHT), ("target_width", WIDTH), ("target_height", HEIGHT)):
            if name in kinds:
                given[name] = value
        if "length" in kinds:
            given["length"] = FRAMES
        for name, link in node.links.items():
            if kinds.get(name) == "VAE":
                given[name] = SoundCodec(self.tiny) if name == "audio_vae" else Codec(self.tiny, self._model(None))
            elif kinds.get(name) in _GIVEN:
                given[name] = self._default(kinds[name], link)
        self._shorten(node, given)
        return _nested({name: {name: value} if kinds.get(name) == _CHOICE else value for name, value in given.items()})

    def _shorten(self, node, given):
        if node.type == "SplitSigmas":
            given["step"] = STEPS // 2
        steps = given.get("steps")
        if "steps" in self._kinds(node) and not isinstance(steps, int):
            steps = 20
        if steps is None or node.type == "ManualSigmas":
            return
        given["steps"] = STEPS
        if node.type == "KSamplerAdvanced":
            given["steps"] = 2 * STEPS  # so that a part of them is some
            start, end = (min(round(given[name] * 2 * STEPS / steps), 2 * STEPS) for name in ("start_at_step", "end_at_step"))
            given["start_at_step"], given["end_at_step"] = start, max(end, start + 1)

    def _model(self, file):
        tiny, kind = model_of(file) if file is not None else (self.tiny, self.kind)
        if tiny is None:
            raise Unserved(kind) if kind else Missing(f"no class is known for {file}")
        if file not in self._models:
            self._models[file] = tiny.build()
            self._tiny[self._models[file].model] = tiny
        return self._models[file]

    def encoded(self, sampler, seed):
        """CONDITIONING of another text for a sampler's model."""
        return self._tiny[self.inputs(self.leading(sampler))["model"].model].encoded(seed)

    def evolves(self):
        """Whether any of its models has a choice of methods."""
        return any(models.family_of(model).evolves for model in self._models.values())

    def _stand_in(self, node):
        kind = node.type
        if kind == "UNETLoader":
            return (self._model(self._value(node, 0)),)
        if kind in ("CheckpointLoaderSimple", "ImageOnlyCheckpointLoader"):
            file = self._value(node, 0)
            model = self._model(file)
            return model, Encoder(model_of(file)[0]), None
        if kind == "ModelPatchLoader" and "infinitetalk" in str(self._value(node, 0)).lower():
            return (speaking(self.tiny),)
        if kind == "VOIDWarpedNoise":  # made by a model of optical flow
            return ({"samples": Codec(self.tiny, self._model(None)).encode(torch.zeros(FRAMES, HEIGHT, WIDTH, 3))},)
        if kind in ("CLIPLoader", "DualCLIPLoader", "TripleCLIPLoader", "QuadrupleCLIPLoader", "LTXAVTextEncoderLoader"):
            return (Encoder(self.tiny),)
        if kind in _PASSED:
            self.left_out.add(kind)
            given = {name: self.output(link) for name, link in node.links.items() if name in _PASSED[kind]}
            return tuple(given.get(name) for name in _PASSED[kind]) or (None,)
        if kind == "ComfySwitchNode":
            given = self._widgets(node) | {k: v for k, v in node.values.items() if v is not None}
            switch = self.output(node.links["switch"]) if "switch" in node.links else given.get("switch", False)
            name = "on_true" if switch else "on_false"
            if name not in node.links:
                name = "on_false" if switch else "on_true"
            return (self.output(node.links[name]),)
        if kind in ("PrimitiveInt", "PrimitiveFloat", "PrimitiveString", "PrimitiveStringMultiline", "PrimitiveBoolean"):
            return (node.values.get("value", self._value(node, 0)),)
        made = getattr(nodes.NODE_CLASS_MAPPINGS.get(kind), "RETURN_TYPES", None)
        if made is None:
            raise Missing(f"ComfyUI has no node {kind}")
        if kind not in SAMPLERS and not set(made) & _MADE:
            return tuple(self._default(one, (node.id, slot)) for slot, one in enumerate(made))
        return None

    def _default(self, kind, link):
        return {"IMAGE": lambda: _picture(link), "MASK": _mask, "AUDIO": _second_of_sound, "INT": lambda: HEIGHT, "FLOAT": lambda: 1.0,
                "BOOLEAN": lambda: False, "STRING": lambda: f"a text {link[0]}", "CLIP_VISION_OUTPUT": lambda: seen(self.tiny, link),
                "AUDIO_ENCODER_OUTPUT": lambda: heard(self.tiny),
                "ICLORA_PARAMETERS": lambda: {"reference_downscale_factor": 1}}.get(kind, lambda: None)()  # fmt: skip

    def _call(self, node, given):
        kind = nodes.NODE_CLASS_MAPPINGS[node.type]
        if isinstance(kind, type) and issubclass(kind, io.ComfyNode):
            kind = kind.PREPARE_CLASS_CLONE(None) if hasattr(kind, "PREPARE_CLASS_CLONE") else kind
            out = kind.execute(**given)
        else:
            out = getattr(kind(), kind.FUNCTION)(**given)
        if inspect.isawaitable(out):
            out = asyncio.run(out)
        return out.args if isinstance(out, io.NodeOutput) else out["result"] if isinstance(out, dict) else out

    def _kinds(self, node):
        kind = nodes.NODE_CLASS_MAPPINGS.get(node.type)
        if kind is None:
            raise Missing(f"ComfyUI has no node {node.type}")
        declared = kind.INPUT_TYPES()
        found = {}
        for part in ("required", "optional"):
            for name, spec in declared.get(part, {}).items():
                found[name] = "COMBO" if isinstance(spec[0], list) else spec[0]
        return found

    def _widgets(self, node):
        """{input: value} of a node's own widgets; defaults where the file has fewer."""
        kind = nodes.NODE_CLASS_MAPPINGS.get(node.type)
        if kind is None:
            raise Missing(f"ComfyUI has no node {node.type}")
        if isinstance(node.widgets, dict):
            return {name: value for name, value in node.widgets.items() if name in self._kinds(node)}
        declared = kind.INPUT_TYPES()
        values, given = list(node.widgets), {}
        for part in ("required", "optional"):
            for name, spec in declared.get(part, {}).items():
                said = spec[1] if len(spec) > 1 else {}
                typed = isinstance(spec[0], list) or spec[0].split(",")[0] in _WIDGETS  # FLOAT,INT takes both
                if not typed or said.get("forceInput"):
                    continue
                if values:
                    given[name] = values.pop(0)
                    if name in ("seed", "noise_seed") and values and values[0] in AFTER_A_SEED:
                        values.pop(0)
                elif "default" in said:
                    given[name] = said["default"]
        return given

    def _value(self, node, place):
        values = node.widgets if isinstance(node.widgets, list) else list(node.widgets.values())
        own = values[place] if len(values) > place else None
        given = next((value for name, value in node.values.items() if name in ("unet_name", "ckpt_name")), own)
        return given if any(model_of(given)) else own


# Nodes that make any of these are run; what others make is given, because no picture decides whether a template works.
_MADE = {"MODEL", "CONDITIONING", "LATENT", "GUIDER", "SAMPLER", "SIGMAS", "NOISE", "TRACKS", "WAN_CAMERA_EMBEDDING", "CLIP"}
_GIVEN = {"IMAGE", "MASK", "AUDIO"}


def _nested(given):
    """Inputs that grow, as `images.image_0`, and those of a choice are one dict each."""
    found = {name: value for name, value in given.items() if "." not in name}
    for name in (name for name in given if "." in name):
        outer, _, inner = name.partition(".")
        found.setdefault(outer, {})[inner] = given[name]
    return found


def _picture(link):
    seed = sum(map(ord, link[0])) + link[1]
    return torch.rand(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(seed))


def _mask():
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[..., WIDTH // 2 :] = 1
    return mask


def _second_of_sound():
    return {"waveform": torch.rand(1, 2, 16_000, generator=torch.Generator().manual_seed(4)), "sample_rate": 16_000}
