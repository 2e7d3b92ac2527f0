"""Trainable low-rank adapters beside the projections of the text layers, made by peft.

adapters    a context in which the diffusion model has them
Adapters    their parameters, and the LoRA file that they are
"""

from contextlib import contextmanager

import comfy.lora
import torch

from ..patching import models

# How ComfyUI and diffusers both read a name, where they do.
_PREFIXES = ("lora_unet_down_blocks_", "lora_unet_mid_block_", "lora_unet_up_blocks_", "transformer.")


class _Nothing(torch.nn.Linear):
    """What peft takes for the adapted layer: the real one stays as it is, wherever and in whatever form ComfyUI keeps its weights."""

    def __init__(self, into, out, device):
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features, self.bias = into, out, None
        self.weight = torch.nn.Parameter(torch.zeros(1, 1, device=device).expand(out, into), requires_grad=False)

    def forward(self, x):
        return x.new_zeros(*x.shape[:-1], self.out_features)


class _Beside(torch.nn.Module):
    """A projection and its adapters; one for each of the parts (queries, keys, values) that it makes at once."""

    def __init__(self, projection, parts, device):
        super().__init__()
        self.parts = torch.nn.ModuleList(_Nothing(projection.in_features, projection.out_features // parts, device) for _ in range(parts))
        self.__dict__["projection"] = projection  # not a submodule: its names in state dicts stay as ComfyUI knows them

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["projection"], name)

    def forward(self, x, *args, **kwargs):
        out = self.projection(x, *args, **kwargs)
        return out + torch.cat([part(x) for part in self.parts], -1).to(out)


class Adapters:
    """modules: {module path of a projection: its _Beside}; names: {module path: the name of each of its parts in LoRA files}"""

    def __init__(self, modules, names, rank, alpha):
        self.modules, self._names, self.rank, self.alpha = modules, names, rank, alpha

    def parameters(self):
        return [p for module in self.modules.values() for p in module.parameters() if p.requires_grad]

    def lora(self):
        """{name: tensor} as a LoRA file that ComfyUI and, where it has the architecture, diffusers read. Each on the CPU, a copy."""
        tensors = {}
        for path, module in self.modules.items():
            for name, part in zip(self._names[path], module.parts, strict=True):
                down, up = part.lora_A["default"].weight, part.lora_B["default"].weight
                kind = ("lora_down", "lora_up") if name.startswith("lora_unet_") else ("lora_A", "lora_B")
                # With the scale in the up matrix no reader needs to know it.
                for k, w in zip(kind, (down, up * (self.alpha / self.rank)), strict=True):
                    tensors[f"{name}.{k}.weight"] = w.detach().float().cpu().clone()
        return tensors

    def load(self, tensors):
        """Goes on with a file that `lora` has made. Raises ValueError when it is of other layers or of another rank."""
        own = self.lora()
        if set(own) != set(tensors):
            other = next(iter(sorted(set(own) ^ set(tensors))))
            raise ValueError(f"Training cannot go on with this LoRA: it is of other layers or in another format ({other}).")
        shapes = [(name, tuple(own[name].shape), tuple(tensors[name].shape)) for name in own if own[name].shape != tensors[name].shape]
        if shapes:
            raise ValueError(
                f"Training cannot go on with this LoRA: {shapes[0][0]} is {shapes[0][2]}, with rank {self.rank} it would be {shapes[0][1]}."
            )
        values = iter(tensors[name] for name in own)
        with torch.no_grad():
            for module in self.modules.values():
                for part in module.parts:
                    part.lora_A["default"].weight.copy_(next(values))
                    part.lora_B["default"].weight.copy_(next(values) / (self.alpha / self.rank))


def _names(model):
    """{weight, or (weight, slice): its name in LoRA files}"""
    found = {}
    for name, key in comfy.lora.model_lora_keys_unet(model.model, {}).items():
        if name.startswith(_PREFIXES) or key not in found:
            found[key] = name
    return found


@contextmanager
def adapters(model, text_layers, rank, alpha, seed):
    """model: MODEL, loaded; adapters beside the paper's projections of the text layers (the picture's own queries, keys, values and
    output), down matrices from a normal distribution of deviation 1 / rank, up matrices zero. [Staniszewski et al., section 5.1]

    The diffusion model is as it was afterwards. Raises ValueError for a rank below 1 and where LoRA files have no name for a projection.
    """
    from peft import LoraConfig, inject_adapter_in_model

    if rank < 1:
        raise ValueError(f"The rank is {rank}; it must be 1 or more.")
    family, diffusion_model = models.family_of(model), model.model.diffusion_model
    layers = family.modules(diffusion_model, family.layers)
    places = {f"{name}.{projection}": _parent(diffusion_model, f"{name}.{projection}") for name in text_layers.names
              for projection in family.projections(layers[name])}  # fmt: skip
    trained = {p: p.requires_grad for p in diffusion_model.parameters()}
    device, known = model.load_device, _names(model)
    before = {path: getattr(parent, name) for path, (parent, name) in places.items()}
    names = {path: _parts(known, path, projection) for path, projection in before.items()}
    beside = {path: _Beside(projection, len(names[path]), device) for path, projection in before.items()}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in beside.values():
                config = LoraConfig(r=rank, lora_alpha=alpha, init_lora_weights="gaussian", target_modules=r"parts\.\d+")
                inject_adapter_in_model(config, module)
                module.to(device)
        diffusion_model.requires_grad_(False)
        for path, (parent, name) in places.items():
            setattr(parent, name, beside[path])
        yield Adapters(beside, names, rank, alpha)
    finally:
        for path, (parent, name) in places.items():
            setattr(parent, name, before[path])
        for p, required in trained.items():
            p.requires_grad_(required)


def _parent(model, path):
    """(module, attribute)"""
    parent, _, name = path.rpartition(".")
    return model.get_submodule(parent), name


def _parts(known, path, projection):
    """Names of a projection in LoRA files. Queries, keys and values that are made at once have an adapter each, as in the paper's own
    training, where there are names for them."""
    weight, out = f"diffusion_model.{path}.weight", projection.out_features // 3
    parts = [known.get((weight, (0, number * out, out))) for number in range(3)]
    if projection.out_features == 3 * projection.in_features and all(parts):
        return parts
    if weight not in known:
        raise ValueError(f"LoRA files have no name for {weight}, so that it cannot be trained.")
    return [known[weight]]
