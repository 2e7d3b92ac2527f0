"""Trainable low-rank adapters beside the projections of the text layers, made by peft.

adapters    a context in which the diffusion model has them
Adapters    their parameters, and the LoRA file that they are
"""

from contextlib import contextmanager
from dataclasses import dataclass

import comfy.lora
import comfy.model_base
import torch

from ..patching import models
from ..patching.messages import shortened

# How ComfyUI and diffusers both read a name, where they do.
_PREFIXES = ("lora_unet_down_blocks_", "lora_unet_mid_block_", "lora_unet_up_blocks_", "transformer.")
# Of Flux.2's single blocks; Flux.1, Chroma and LongCat-Image have to_q, to_k, to_v and proj_out.
_FLUX2 = ("attn.to_qkv_mlp_proj", "attn.to_out")


class _Nothing(torch.nn.Linear):
    """What peft takes for the adapted layer: the real one stays as it is, wherever and in whatever form ComfyUI keeps its weights."""

    def __init__(self, into, out, device):
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features, self.bias = into, out, None
        self.weight = torch.nn.Parameter(torch.zeros(1, 1, device=device).expand(out, into), requires_grad=False)

    def forward(self, x):
        return x.new_zeros(*x.shape[:-1], self.out_features)


@dataclass(frozen=True)
class Part:
    """Of a projection, what one adapter changes: `rows` outputs, made from the first `columns` inputs. name: of the module
    in LoRA files, which has (outputs, inputs) of its own."""

    name: str
    rows: int
    columns: int
    whole: tuple[int, int]

    def down(self, w):
        return torch.nn.functional.pad(w, (0, self.whole[1] - self.columns))

    def up(self, w):
        return torch.nn.functional.pad(w, (0, 0, 0, self.whole[0] - self.rows))


class _Beside(torch.nn.Module):
    """A projection and the adapters of its parts, which are one behind the other."""

    def __init__(self, projection, parts, device):
        super().__init__()
        self.parts = torch.nn.ModuleList(_Nothing(part.columns, part.rows, device) for part in parts)
        self.columns, self.others = parts[0].columns, projection.out_features - sum(part.rows for part in parts)
        self.__dict__["projection"] = projection  # not a submodule: its names in state dicts stay as ComfyUI knows them

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["projection"], name)

    def forward(self, x, *args, **kwargs):
        out = self.projection(x, *args, **kwargs)
        added = torch.cat([part(x[..., : self.columns]) for part in self.parts], -1)
        return out + torch.nn.functional.pad(added, (0, self.others)).to(out)


class Adapters:
    """modules: {module path of a projection: its _Beside}; parts: {module path: its Parts}"""

    def __init__(self, modules, parts, rank, alpha):
        self.modules, self._parts, self.rank, self.alpha = modules, parts, rank, alpha

    def named(self):
        """{name: parameter}"""
        return {
            f"{part.name}.{kind}": getattr(adapter, kind)["default"].weight
            for path, module in self.modules.items()
            for part, adapter in zip(self._parts[path], module.parts, strict=True)
            for kind in ("lora_A", "lora_B")
        }

    def parameters(self):
        return list(self.named().values())

    def lora(self):
        """{name: tensor} as a LoRA file that ComfyUI and, where it has the architecture, diffusers read. Each on the CPU, a copy."""
        tensors = {}
        for path, module in self.modules.items():
            for part, adapter in zip(self._parts[path], module.parts, strict=True):
                down, up = adapter.lora_A["default"].weight, adapter.lora_B["default"].weight
                kind = ("lora_down", "lora_up") if part.name.startswith("lora_unet_") else ("lora_A", "lora_B")
                # With the scale in the up matrix no reader needs to know it.
                for k, w in zip(kind, (part.down(down), part.up(up * (self.alpha / self.rank))), strict=True):
                    tensors[f"{part.name}.{k}.weight"] = w.detach().float().cpu().clone()
        return tensors

    def load(self, tensors):
        """Goes on with a file that `lora` has made. Raises ValueError when it is of other layers or of another rank."""
        own = self.lora()
        if set(own) != set(tensors):
            other = next(iter(sorted(set(own) ^ set(tensors))))
            raise ValueError(f"Training cannot go on with this LoRA: it is of other layers or in another format ({shortened(other)}).")
        shapes = [(name, tuple(own[name].shape), tuple(tensors[name].shape)) for name in own if own[name].shape != tensors[name].shape]
        if shapes:
            raise ValueError(
                f"Training cannot go on with this LoRA: {shapes[0][0]} is {shapes[0][2]}, with rank {self.rank} it would be {shapes[0][1]}."
            )
        values = iter(tensors[name] for name in own)
        with torch.no_grad():
            for path, module in self.modules.items():
                for part, adapter in zip(self._parts[path], module.parts, strict=True):
                    down, up = next(values), next(values)
                    if down[:, part.columns :].any() or up[part.rows :].any():
                        raise ValueError(f"Training cannot go on with this LoRA: in {part.name} it also changes what is no attention.")
                    adapter.lora_A["default"].weight.copy_(down[:, : part.columns])
                    adapter.lora_B["default"].weight.copy_(up[: part.rows] / (self.alpha / self.rank))


def _names(model):
    """{weight, or (weight, slice): its name in LoRA files}"""
    found = {}
    for name, key in comfy.lora.model_lora_keys_unet(model.model, {}).items():
        if (name.startswith(_PREFIXES) or key not in found) and not _is_of_another_flux(name, model):
            found[key] = name
    return found


def _is_of_another_flux(name, model):
    """ComfyUI has the names of all kinds of Flux for each; diffusers has a kind's own alone."""
    return "single_transformer_blocks" in name and name.endswith(_FLUX2) != isinstance(model.model, comfy.model_base.Flux2)


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
    if not places:
        raise ValueError(
            "The text layers of this model were found by looking, and which of their projections a LoRA should train is not known: it "
            "needs a model that is supported by name."
        )
    trained = {p: p.requires_grad for p in diffusion_model.parameters()}
    device, known = model.load_device, _names(model)
    before = {path: getattr(parent, name) for path, (parent, name) in places.items()}
    parts = {}
    for name in text_layers.names:
        for projection in family.projections(layers[name]):
            path = f"{name}.{projection}"
            parts[path] = _parts(known, path, before[path], *_of_attention(layers[name], projection, before[path]))
    beside = {path: _Beside(projection, parts[path], device) for path, projection in before.items()}
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
        yield Adapters(beside, parts, rank, alpha)
    finally:
        for path, (parent, name) in places.items():
            setattr(parent, name, before[path])
        for p, required in trained.items():
            p.requires_grad_(required)


def _parent(model, path):
    """(module, attribute)"""
    parent, _, name = path.rpartition(".")
    return model.get_submodule(parent), name


def _of_attention(layer, name, projection):
    """(outputs, inputs) of a projection that are attention's. Blocks like Flux's single ones make queries, keys and values together with
    their MLP's first step, and the output together with its second."""
    if name == "linear1":
        return 3 * layer.hidden_size, projection.in_features
    if name == "linear2":
        return projection.out_features, layer.hidden_size
    return projection.out_features, projection.in_features


def _parts(known, path, projection, rows, columns):
    """Queries, keys and values that are made at once have an adapter each, as in the paper's own training, where LoRA files have names for
    them."""
    weight, third = f"diffusion_model.{path}.weight", rows // 3
    names = [known.get((weight, (0, number * third, third))) for number in range(3)]
    if rows == 3 * projection.in_features and all(names):
        return [Part(name, third, columns, (third, projection.in_features)) for name in names]
    if weight not in known:
        raise ValueError(f"LoRA files have no name for {weight}, so that it cannot be trained.")
    return [Part(known[weight], rows, columns, (projection.out_features, projection.in_features))]
