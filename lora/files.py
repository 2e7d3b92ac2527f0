"""LoRA files as they come: reading, what a file holds, and which of its tensors belong to which module.

read          a file -> LoraFile
LoraFile      tensors and metadata; says for people what it holds
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import comfy.lora_convert
import comfy.utils

# What stands behind a module's name in the formats that ComfyUI reads: kohya, diffusers, peft, LyCORIS, OneTrainer.
_SUFFIX = re.compile(
    r"([._]lora[._](up|down|mid|A|B|linear_layer)(\..*)?|\.(hada|lokr|oft|boft)_\w+|\.[ab][12]\.weight|"
    r"\.(diff|diff_b|alpha|dora_scale|set_weight|w_norm|b_norm|reshape_weight))$"
)
_ABOUT = ("modelspec.architecture", "ss_base_model_version", "ss_network_module")


@dataclass(frozen=True)
class LoraFile:
    """tensors: as ComfyUI's loader sees them; metadata: of a safetensors file."""

    name: str
    tensors: Mapping
    metadata: Mapping

    def modules(self):
        """Names of the modules that the file changes, as it spells them."""
        return list(dict.fromkeys(_SUFFIX.sub("", key) for key in self.tensors))

    def ranks(self):
        down = re.compile(r"lora[._](down|A|linear_layer\.down)\b")
        return sorted({int(tensor.shape[0]) for key, tensor in self.tensors.items() if down.search(key) and tensor.ndim > 1})

    def description(self):
        """One sentence for people: how many modules, their rank, examples, and what the metadata say of the model."""
        modules = self.modules()
        rank = f" of rank {', '.join(map(str, self.ranks()))}" if self.ranks() else ""
        about = [str(self.metadata[key]) for key in _ABOUT if self.metadata.get(key)]
        says = f" Its metadata say: {', '.join(about)}." if about else ""
        examples = ", ".join(dict.fromkeys([modules[0], modules[len(modules) // 2], modules[-1]]))
        return f"{self.name} holds {len(modules)} modules{rank}, for example {examples}.{says}"

    def of_modules(self, wanted):
        """Its tensors of the modules that `wanted` accepts, a function of the name as the file spells it."""
        return {key: tensor for key, tensor in self.tensors.items() if wanted(_SUFFIX.sub("", key))}


def read(path):
    """Every kind of file that ComfyUI's own loader reads; of pickles only tensors.

    Raises ValueError when it cannot be read or holds no LoRA.
    """
    name = Path(path).name
    try:
        tensors, metadata = comfy.utils.load_torch_file(str(path), safe_load=True, return_metadata=True)
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}.") from None
    except Exception as error:  # each format fails in its own way
        raise ValueError(
            f"{name} cannot be read: it is cut off, damaged, or not what its ending says. Download it again. "
            f"({(str(error) or type(error).__name__).splitlines()[0]})"
        ) from None
    tensors = comfy.lora_convert.convert_lora({key: t for key, t in tensors.items() if hasattr(t, "shape")})
    if not any(_SUFFIX.search(key) for key in tensors):
        first = next(iter(tensors), "nothing")
        raise ValueError(f"{name} is not a LoRA: none of its {len(tensors)} tensors belongs to one (it begins with {first}).")
    return LoraFile(name, tensors, metadata or {})
