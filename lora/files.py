"""LoRA files as they come: reading, and what a file holds.

read          a file -> LoraFile
LoraFile      tensors and metadata; says for people what it holds
listed        some of many keys, for people
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import comfy.lora_convert
import comfy.utils
import torch

from ..patching.messages import shortened
from .formats import is_lora, module_of

_ABOUT = ("modelspec.architecture", "ss_base_model_version", "ss_network_module")
_LISTED = 5


@dataclass(frozen=True)
class LoraFile:
    """tensors: as ComfyUI's loader sees them; metadata: of a safetensors file; spelt: {key: as the file has it} where that is another, None
    where it is not in the file; others: keys of what is no tensor and no number."""

    name: str
    tensors: Mapping
    metadata: Mapping
    spelt: Mapping = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def keys_as_spelt(self, keys):
        """Of keys of `tensors`, those that are in the file."""
        return [name for key in keys if (name := self.spelt.get(key, key)) is not None]

    def modules(self):
        """Names of the modules that the file changes, as it spells them."""
        return list(dict.fromkeys(map(module_of, self.tensors)))

    def ranks(self):
        down = re.compile(r"lora[._](down|A|linear_layer\.down)\b")
        return sorted({int(tensor.shape[0]) for key, tensor in self.tensors.items() if down.search(key) and tensor.ndim > 1})

    def description(self):
        """One sentence for people: how many modules, their rank, examples, and what the metadata say of the model."""
        modules, ranks = self.modules(), self.ranks()
        rank = f" of rank {', '.join(map(str, ranks[:_LISTED]))}{', ...' if len(ranks) > _LISTED else ''}" if ranks else ""
        about = [_short(str(self.metadata[key])) for key in _ABOUT if self.metadata.get(key)]
        says = f" Its metadata say: {', '.join(about)}." if about else ""
        examples = ", ".join(dict.fromkeys(map(_short, (modules[0], modules[len(modules) // 2], modules[-1]))))
        return f"{_short(self.name)} holds {len(modules)} modules{rank}, for example {examples}.{says}"


def listed(keys, most=_LISTED):
    """keys: {key: why}"""
    first = [f"{_short(key)} ({_short(why, 200)})" for key, why in list(keys.items())[:most]]
    return "; ".join(first) + (f"; and {len(keys) - most} more" if len(keys) > most else "")


def _short(text, length=100):
    """What a stranger has written: in one line, and not more than people read."""
    return shortened(" ".join(text[: 10 * length].split()), length)


def read(path):
    """Every kind of file that ComfyUI's own loader reads; of pickles only tensors and numbers.

    Raises ValueError when it cannot be read or holds no LoRA.
    """
    name = Path(path).name
    try:
        held, metadata = comfy.utils.load_torch_file(str(path), safe_load=True, return_metadata=True)
        held = dict(held.items())
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}.") from None
    except Exception as error:  # each format fails in its own way
        raise ValueError(
            f"{name} cannot be read: it is cut off, damaged, or not what its ending says. Download it again. "
            f"({_short((str(error) or type(error).__name__).splitlines()[0], 200)})"
        ) from None
    found = {str(key): torch.tensor(value) if _is_number(value) else value for key, value in held.items()}
    tensors = {key: value for key, value in found.items() if torch.is_tensor(value)}
    converted, spelt = comfy.lora_convert.convert_lora(tensors), {}
    if converted is not tensors:
        names = {id(tensor): key for key, tensor in tensors.items()}
        spelt = {key: names.get(id(tensor)) for key, tensor in converted.items()}
    if not any(map(is_lora, converted)):
        first = _short(next(iter(converted), "nothing"))
        raise ValueError(f"{name} is not a LoRA: none of its {len(converted)} tensors belongs to one (it begins with {first}).")
    return LoraFile(name, converted, metadata or {}, spelt, tuple(key for key in found if key not in tensors))


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
