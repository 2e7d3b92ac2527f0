"""What the registry says of one tiny random model, and how it is built."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import comfyui_version
import torch
from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT
from comfy.nested_tensor import NestedTensor

UNKEPT = "keep is refused: sound is drawn beside the video"
OLD = comfyui_version.__version__.startswith("0.3.")


@dataclass(frozen=True)
class TinyModel:
    """kind: name of the class in comfy.supported_models; family: of patching/adapters, "" where no attention has text tokens, with the
    reason in `unservable`.

    config: the diffusion model's configuration, scaled down. latent: (channels, height, width) or with frames in between.
    tokens: length of a prompt; channels: of its embeddings. extra(random, tokens): what else the text encoder gives, for one prompt;
    random is a function (*shape) -> tensor. always(random): what all prompts hold that comes from elsewhere. beside(random, number): what
    other nodes can add to a prompt (guidance, references, a hole, a size), of other values for each number.
    picture: number of the picture's tokens in a text layer, reference: of what `beside` adds to them; text(tokens): of the text's.
    place: where the text's stand among the keys: "first", "last" (but for as many others as `behind` says), or "all" for a cross-attention.
    sound: shape of the sound's latents that are drawn beside the picture's. unkept: why `keep` is refused, if it is. batches:
    False where the model draws one at a time. pools: whether it makes a pooled embedding of the text itself, which moves the picture.
    layers: how many there are. full: the configuration that ComfyUI's model detection finds in the real checkpoint, with
    full_layers; models: those it stands for. newer: settings in both that ComfyUI 0.3 does not know. length_matters: False where all
    prompts have the same length.
    """

    kind: str
    family: str
    config: dict
    latent: tuple[int, ...]
    channels: int
    picture: int | tuple[int, ...]
    layers: int
    place: str = "first"
    behind: int = 0
    tokens: int = 10
    text: Callable = lambda tokens: tokens
    extra: Callable = lambda random, tokens: {}
    always: Callable = lambda random: {}
    beside: Callable | None = None
    reference: int = 0
    length_matters: bool = True
    sound: tuple[int, ...] | None = None
    unkept: str = ""
    batches: bool = True
    pools: bool = False
    unservable: str = ""
    models: str = ""
    full: dict | None = None
    full_layers: int = 0
    newer: tuple[str, ...] = ()
    sampler: str = "euler"
    cut: Callable = lambda diffusion_model: None  # what no configuration scales down
    attributes: dict = field(default_factory=dict)  # of the configuration object, set before the model is built

    @property
    def exists(self):
        """Whether this ComfyUI has the class."""
        return hasattr(comfy.supported_models, self.kind)

    def build(self, dtype=torch.float32, compute=None):
        """ComfyUI's MODEL on the CPU or GPU, with the same random weights every time. compute: the type that weights of `dtype` are cast
        to where they are used, if it is another."""
        settings = self._settings(self.config, dtype, compute)
        settings.unet_config.update(self._known(self.config))  # some classes have sizes of their own, of the full model
        offload = comfy.model_management.unet_offload_device()
        model = settings.get_model({}, device=offload)
        self.cut(model.diffusion_model)
        fill(model.diffusion_model, seed=zlib.crc32(self.kind.encode()))
        device = comfy.model_management.get_torch_device()
        return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)

    def on_meta(self):
        """The real diffusion model, without memory for its weights."""
        return self._settings(self.full, torch.bfloat16).get_model({}, device="meta").diffusion_model

    def small_on_meta(self):
        """The tiny one likewise."""
        settings = self._settings(self.config, torch.float32)
        settings.unet_config.update(self._known(self.config))
        return settings.get_model({}, device="meta").diffusion_model

    def _settings(self, config, dtype, compute=None):
        settings = getattr(comfy.supported_models, self.kind)(self._known(config))
        for name, value in self.attributes.items():
            setattr(settings, name, value)
        settings.set_inference_dtype(dtype, compute)
        return settings

    def _known(self, config):
        return {name: value for name, value in config.items() if not (OLD and name in self.newer)}

    def encoded(self, seed, tokens=None, rows=1):
        """CONDITIONING of a random prompt as a text encoder gives it: new tensors at each call."""
        random = _random(seed)
        tokens = tokens or self.tokens
        # ComfyUI's text encoders say so where they pool nothing.
        extra = {"pooled_output": None, **self.extra(random, tokens)}
        return [[random(1, tokens, self.channels).repeat(rows, 1, 1), extra]]

    def conditioning(self, seed, tokens=None, rows=1, number=None):
        """The same with what comes from other nodes: what all prompts of the model hold, and what `beside` has of this number."""
        more = self.always(_random(0))
        if number is not None and self.beside is not None:
            more |= self.beside(_random(1000 + number), number)
        return [[embeddings, extra | more] for embeddings, extra in self.encoded(seed, tokens, rows)]

    def noise(self, rows=1):
        """A tensor, or ComfyUI's NestedTensor of the picture's latents and the sound's."""
        shapes = [self.latent] if self.sound is None else [self.latent, self.sound]
        generator = torch.Generator().manual_seed(5)
        return _latents([torch.randn((rows, *shape), generator=generator) for shape in shapes])

    def nothing(self, noise):
        """The latents to which it is added."""
        return _latents([torch.zeros_like(part) for part in _parts(noise)])

    def together(self, latents):
        """One tensor of what a sampler gives."""
        parts = _parts(latents)
        return parts[0] if len(parts) == 1 else torch.cat([part.flatten(1) for part in parts], 1)


def _latents(parts):
    return parts[0] if len(parts) == 1 else NestedTensor(parts)


def _parts(latents):
    return [latents] if torch.is_tensor(latents) else latents.unbind()


def _random(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator)


def fill(module, seed=0):
    """Random weights of a size that keeps signals alive: ComfyUI's modules leave theirs as the memory was."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(module.named_parameters()):
            values = torch.randn(p.shape, generator=generator)
            if p.ndim >= 2:
                values = values / max(1, p[0].numel()) ** 0.5
            elif name.endswith(("weight", "scale", "gamma")):  # norms
                values = 1 + 0.1 * values
            else:
                values = 0.1 * values
            p.copy_(values)
        for part in module.modules():
            if isinstance(part, MMDiT) and part.pos_embed is not None:
                part.pos_embed.zero_()  # memory as it was, too, which need not look wrong
        for _, b in sorted(module.named_buffers()):
            if b.is_floating_point() and not b.isfinite().all():
                b.copy_(0.1 * torch.randn(b.shape, generator=generator))
