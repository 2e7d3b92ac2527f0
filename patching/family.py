"""What an adapter says of one family of architectures; the mechanism is the same for all.

Family                      where the text layers are, in which order, and which of their tokens are text
FIRST, LAST, AFTER, ALL     where text tokens stand among the keys of a layer's attention
TEXT_FIELDS                 what a text encoder puts into a conditioning beside the embeddings
parameters                  how many a module has
refuse_references           for models that have them amid the text
"""

from collections.abc import Callable
from dataclasses import dataclass

# All else that a conditioning carries (guidance, references, a hole, ControlNet, areas) says how to draw, and not what the text is.
TEXT_FIELDS = frozenset((
    "pooled_output", "attention_mask", "conditioning_llama3", "conditioning_byt5small", "conditioning_mt5xl", "attention_mask_mt5xl",
    "t5xxl_ids", "t5xxl_weights", "text_input_ids", "unprocessed_ltxav_embeds", "minimax_token_tags", "direct_context",
))  # fmt: skip


def FIRST(counted, keys):
    """`counted` text tokens stand before all others."""
    return slice(0, counted)


def LAST(counted, keys):
    """`counted` text tokens stand behind all others."""
    return slice(keys - counted, keys)


def AFTER(counted, keys):
    """Text tokens stand behind `counted` others."""
    return slice(counted, keys)


def ALL(keys):
    """A cross-attention: all keys are text."""
    return slice(0, keys)


def parameters(module, share=1.0):
    """share: of them, where one projection makes more than keys and values."""
    return round(share * sum(p.numel() for p in module.parameters()))


def refuse_references(model):
    """model: its name."""
    raise RuntimeError(
        f"{model} has its reference pictures amid the text, where text layers cannot be patched yet. Take the reference pictures out of "
        "the prompt."
    )


@dataclass(frozen=True)
class Family:
    """classes: the diffusion models, as "module:class", subclasses included; they are not imported, because not every ComfyUI has all.

    layers: patterns of module paths, `*` for a number, in execution order; the first attention inside such a module is the text's, or the
    one behind as many others as before(module, arguments of its call by name) says, which raises RuntimeError where it cannot be told and
    gives None for a call that does not draw the picture.
    text: FIRST, LAST, AFTER or ALL. counted: "pattern of module paths:argument", the argument of these modules' forward (a name, or a
    position where it has none) whose length is counted; the model itself has the path "". Needed unless all keys are text. Several of
    them, where other tokens stand on both sides of the text's, give `text` as many numbers.
    evolves: whether the text's keys and values depend on the picture or the noise level, and not on the text alone. injects: whether the
    layers get the embeddings themselves by way of ComfyUI's attn2 patches, so that no call of the model is needed to know their keys.
    alone: whether the model draws one at a time, and takes no batch. sounds: whether a model draws sound beside the picture, so that its
    latents are two.
    text_width: channels of the embeddings that the model takes, or several numbers where it takes either. heads: number of a layer's heads,
    from its module.
    size: what tells architectures with the same number of layers apart, in addition to it. pooled: whether the model needs a pooled
    embedding. passes_options: whether the layers pass transformer_options to ComfyUI's attention function. method: that of the layers'
    modules in which the picture attends the text.
    known_by: a part that a layer's own module has, where another node may have put one of its own around it.
    kv: how many parameters of a layer's module make the text's keys and values. lora: names below a layer's module of the projections that
    a LoRA trains, or a function that gives them for a module; the picture's own where the two streams have their own.
    [Staniszewski et al., section 5.1]
    """

    name: str
    description: str
    classes: tuple[str, ...]
    layers: tuple[str, ...]
    text: Callable
    text_width: Callable
    heads: Callable
    kv: Callable
    lora: tuple[str, ...] | Callable
    counted: str | tuple[str, ...] = ()
    evolves: bool = True
    size: Callable | None = None
    pooled: bool = False
    passes_options: bool = True
    method: str = "forward"
    before: Callable = lambda module, arguments: 0
    alone: bool = False
    sounds: Callable = lambda model: False
    injects: bool = False
    known_by: str = ""

    def owns(self, diffusion_model):
        kinds = (f"{c.__module__}:{c.__qualname__}" for c in type(diffusion_model).__mro__)
        return any(kind in self.classes for kind in kinds) and bool(self.layer_names(diffusion_model))

    def layer_names(self, diffusion_model):
        return list(self.modules(diffusion_model, self.layers))

    def head_counts(self, diffusion_model):
        return {name: self.heads(module) for name, module in self.modules(diffusion_model, self.layers).items()}

    def unseen(self, names):
        """Of what a prompt carries beside its text, what it is not known of where its tokens would stand."""
        return []

    def projections(self, module):
        """Of `lora`, those that a layer's module has."""
        known = dict(module.named_modules())
        return [name for name in (self.lora if isinstance(self.lora, tuple) else self.lora(module)) if name in known]

    def architecture(self, diffusion_model):
        """A fingerprint: two models with the same one have the same text layers."""
        size = (self.size or self.text_width)(diffusion_model)
        return f"{self.name}-{len(self.layer_names(diffusion_model))}x{size}"

    def modules(self, diffusion_model, patterns):
        """Module path -> module of all that fit a pattern, in the patterns' order and in that of their numbers."""
        return {name: self.own(module) for _, name, module in self.found(diffusion_model, patterns)}

    def found(self, diffusion_model, patterns):
        """[(names from the model down to it, module path, module as it stands there)] of the same."""
        found = {}
        for pattern in patterns:
            fits = [((), (), (), diffusion_model)]
            for part in pattern.split(".") if pattern else ():
                fits = [more for fit in fits for more in _below(*fit, part)]
            for _numbers, place, names, module in sorted(fits, key=lambda fit: fit[0]):
                found.setdefault(".".join(names), (place, module))
        return [(place, name, module) for name, (place, module) in found.items()]

    def own(self, module):
        """The model's module inside of one that another node has put there (Layer Diffusion), which stays while the model is loaded."""
        if not self.known_by or hasattr(module, self.known_by):
            return module
        parts = [part for value in vars(module).values() for part in (value if isinstance(value, (list, tuple)) else [value])]
        return next((part for part in parts if hasattr(part, self.known_by)), module)


def _below(numbers, place, names, module, part):
    """Children of a module whose name is `part`, which may end in * for a number; with the numbers, the names that lead there, and those of
    them that are the model's own."""
    # torch.compile puts a module of its own around a model or a block, with the same name as the one inside once this is left out.
    while "_orig_mod" in module._modules:
        place, module = (*place, "_orig_mod"), module._modules["_orig_mod"]
    start = part.removesuffix("*")
    many = [name for name in module._modules if name.startswith(start) and name[len(start) :].isdecimal()]
    for name in many if part.endswith("*") else [part]:
        if (child := module._modules.get(name)) is not None:
            yield (*numbers, int(name[len(start) :])) if part.endswith("*") else numbers, (*place, name), (*names, name), child
