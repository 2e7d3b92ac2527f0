"""Which keys of a LoRA file do something to a model, and why the others do not.

fit              a file against the names that ComfyUI has for a model's weights
Fit              what it changes, and what is left over
Change           of one weight, or of a slice of one
is_plain_peft    whether a change is a LoRA that does not say its scale
"""

import functools
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import comfy.lora
import comfy.utils
import torch
from comfy.weight_adapter import WeightAdapterBase

from .dora import PeftDora
from .formats import MAGNITUDE, UP_BIAS, plain, spelling
from .metadata import peft_scale

_WEIGHT, _BIAS = "module.weight", "module.bias"


@dataclass(frozen=True)
class Change:
    """target: weight, or (weight, slice, ...), as comfy.lora names it; patch: as ModelPatcher takes it; module, keys: of the file.

    problem: why it cannot take effect, "" where it can. beyond: whether ComfyUI's own loader would leave out or misread some of it.
    """

    target: object
    patch: object
    module: str
    keys: tuple[str, ...]
    problem: str = ""
    beyond: bool = False

    @property
    def weight(self):
        return self.target if isinstance(self.target, str) else self.target[0]


@dataclass
class Fit:
    """changes: {target: Change}; unused: {key: why}, of no change; modules: {module of the file: (its weight, its keys)}."""

    changes: dict = field(default_factory=dict)
    unused: dict = field(default_factory=dict)
    modules: dict = field(default_factory=dict)


def fit(file, names, model):
    """file: files.LoraFile; names: {module as files spell it: target} from comfy.lora; model: the module whose weights the targets are.

    Each module is read for itself by comfy.lora, so that one that is broken spoils no other.
    """
    found, weights = Fit(), model.state_dict().keys()
    others = _other_spellings(names)
    groups = {}
    for key in file.tensors:
        module = _module(key, names, others)
        if module is None:
            found.unused[key] = "no such module in the model"
        else:
            groups.setdefault(module, []).append(key)
    # In ComfyUI's order: of two names of one weight it takes the last. What it does not know replaces nothing.
    order = [name for name in names if name in groups] + [name for name in groups if name not in names]
    for module in order:
        target, beyond = (names[module], False) if module in names else (others[spelling(module)], True)
        found.modules[module] = (_weight(target), tuple(groups[module]))
        left = dict.fromkeys(groups[module], "nothing reads it")
        for change in _read(file, module, groups[module], target, beyond):
            left.update(dict.fromkeys(change.keys))
            if change.weight not in weights:
                why = "its module has no bias in the model" if change.weight.endswith(".bias") else "no such weight in the model"
            elif beyond and change.target in found.changes:
                why = "the file has this module under another name, too"
            else:
                _take(found, change, model)
                continue
            found.unused.update(dict.fromkeys(change.keys, why))
        found.unused.update({key: why for key, why in left.items() if why and key not in found.unused})
    return found


def _take(found, change, model):
    before = found.changes.get(change.target)
    if before:
        found.unused.update(dict.fromkeys(before.keys, "the file has this module under another name, too"))
    problem = change.problem or _refusal(change, comfy.utils.get_attr(model, change.weight).shape)
    found.changes[change.target] = replace(change, problem=problem)


def _weight(target):
    return target if isinstance(target, str) else target[0]


def _module(key, names, others):
    """The longest beginning of the key that is a module's name."""
    ends = sorted({place for place, c in enumerate(key) if c == "."} | ({key.rfind("_lora.")} - {-1}), reverse=True)
    known = next((key[:end] for end in ends if key[:end] in names), None)
    return known or next((key[:end] for end in ends if spelling(key[:end]) in others), None)


def _other_spellings(names):
    """{spelling: target} where all names that are spelt alike mean one weight."""
    found = {}
    for name, target in names.items():
        found.setdefault(spelling(name), set()).add(target)
    return {name: targets.pop() for name, targets in found.items() if len(targets) == 1}


class _Read(dict):
    """Notes which keys are fetched."""

    def __init__(self, tensors):
        super().__init__(tensors)
        self.fetched = {}

    def __getitem__(self, key):
        self.fetched[key] = None
        return super().__getitem__(key)

    def get(self, key, default=None):
        if key not in self:
            return default
        return self[key]


def _read(file, module, keys, target, beyond):
    """Changes of one module's weight and bias."""
    spelt = {}
    for key in keys:
        spelt.setdefault(module + plain(key)[len(module) :], key)
    tensors = _Read({name: file.tensors[key] for name, key in spelt.items()})

    def broken(problem):
        return [Change(target, None, module, tuple(keys), problem, beyond)]

    alpha = tensors.get(f"{module}.alpha")
    if alpha is not None and alpha.numel() != 1:
        return broken(f"its alpha holds {alpha.numel()} numbers instead of one")
    try:
        patches = comfy.lora.load_lora(tensors, {module: _WEIGHT}, log_missing=False)
    except KeyError as error:
        return broken(f"its {str(error.args[0]).removeprefix(f'{module}.')} is missing: the file is not complete")
    except Exception as error:  # each format fails in its own way
        return broken(f"it cannot be read ({str(error).splitlines()[0][:200] if str(error) else type(error).__name__})")
    named = any(name != key for name, key in spelt.items())
    found = []
    for name, patch in patches.items():
        taken = _keys_of(patch, tensors)
        own = beyond or (named and any(spelt[key] != key for key in taken))
        if name == _WEIGHT:
            magnitude = tensors.get(module + MAGNITUDE) if _is_lora(patch) else None
            if magnitude is not None:
                patch, taken, own = _dora(patch, magnitude, peft_scale(file.metadata)), [*taken, module + MAGNITUDE], True
            found.append(Change(target, patch, module, tuple(spelt[key] for key in taken), "", own))
        else:
            found.append(Change(_bias(target), patch, module, tuple(spelt[key] for key in taken), "", own or not isinstance(target, str)))
    up_bias = tensors.get(module + UP_BIAS)
    if up_bias is not None and _BIAS not in patches and _is_lora(patches.get(_WEIGHT)):
        _, down, alpha = patches[_WEIGHT].weights[:3]
        scaled = up_bias * (alpha / down.shape[0]) if alpha is not None else up_bias
        found.append(Change(_bias(target), ("diff", (scaled,)), module, (spelt[module + UP_BIAS],), "", True))
    return found


def is_plain_peft(change):
    return _is_lora(change.patch) and change.patch.weights[2] is None


def _is_lora(patch):
    return isinstance(patch, WeightAdapterBase) and patch.name == "lora" and patch.weights[3] is None and patch.weights[4] is None


def _dora(lora, magnitude, scale):
    """scale: of the whole file, where the module has no alpha of its own. It cannot be made up for by a strength, as a plain LoRA's can."""
    up, down, alpha, mid, _, reshape = lora.weights
    if alpha is None and scale is not None:
        alpha = scale * down.shape[0]
    return PeftDora(lora.loaded_keys, (up, down, alpha, mid, magnitude, reshape))


def _bias(target):
    """That of the module whose weight the target is; nothing that a model has where it is none."""
    if isinstance(target, str):
        return f"{target.removesuffix('.weight')}.bias"
    return (f"{target[0].removesuffix('.weight')}.bias", *target[1:])


def _keys_of(patch, tensors):
    """Those whose tensors are in the patch; of an adapter also those that it keeps as numbers (alpha, a shape)."""
    adapter = isinstance(patch, WeightAdapterBase)
    held = {id(tensor) for tensor in (patch.weights if adapter else patch[1])}
    numbers = (".alpha", ".reshape_weight") if adapter else ()
    return [key for key in tensors.fetched if id(dict.get(tensors, key)) in held or key.endswith(numbers)]


def _refusal(change, shape):
    """Why ComfyUI leaves the weight as it is, "" where it changes it."""
    offset, function = (None, None) if isinstance(change.target, str) else (*change.target[1:], None)[:2]
    patch, wanted = change.patch, tuple(shape)
    adapter = isinstance(patch, WeightAdapterBase)
    values = list(patch.weights if adapter else patch[1])
    if adapter and patch.name == "lora" and values[5] is not None:  # the weight grows, as Flux's Control LoRAs have it
        grown, values[5] = tuple(values[5]), None
        if len(grown) != len(wanted) or any(n < m for n, m in zip(grown, wanted, strict=True)):
            return f"it makes the weight {_size(grown)}, and here it is {_size(wanted)}"
        wanted = grown
    kind = type(patch) if adapter else patch[0]
    # A number is alpha. What is done with it may depend on numbers that tensors without numbers lack, but not where it is zero.
    if _changes(kind, tuple(w.shape if torch.is_tensor(w) else w and 0.0 for w in values), wanted, offset, function):
        return ""
    made = ", ".join(_size(w.shape) for w in values if torch.is_tensor(w))
    part = (wanted[: offset[0]] + (offset[2],) + wanted[offset[0] + 1 :]) if offset else wanted
    return f"the weight is {_size(part)} here, and the file's tensors for it are {made}"


@functools.lru_cache(maxsize=10_000)
def _changes(kind, values, shape, offset, function):
    """Whether ComfyUI's own function, on tensors that have a shape and no numbers, writes into the weight. A model has few shapes."""
    with torch.inference_mode(False), _quiet():
        values = tuple(torch.empty(v, device="meta") if isinstance(v, torch.Size) else v for v in values)
        patch = (kind, values) if isinstance(kind, str) else kind(set(), values)
        weight = torch.empty(shape, device="meta")
        before = weight._version
        try:
            rows = (weight.narrow(*offset) if offset else weight).shape[0]
            comfy.lora.calculate_weight([(1.0, patch, 1.0, offset, function)], weight, "weight")
        except Exception:  # what it does not catch itself would end the sampling
            return False
    # A product of the right number of numbers in another shape would be folded into the weight's.
    folded = not isinstance(kind, str) and patch.name == "lora" and values[0].shape[0] != rows
    return weight._version > before and not folded


def _size(shape):
    return " x ".join(map(str, shape)) or "one number"


@contextmanager
def _quiet():
    """Without ComfyUI's log of what does not fit: it is said in the report."""
    here = threading.get_ident()

    def others(record):
        return record.thread != here

    log = logging.getLogger()
    log.addFilter(others)
    try:
        yield
    finally:
        log.removeFilter(others)
