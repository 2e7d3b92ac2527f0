"""A digest of any value that is the same in every process and on every machine: no address, order of a set, device or thread counts.

digest    of plain values, tensors, modules, functions by what they do, objects by what they hold
code      of the code of a module and of those of this pack that it imports, as they are loaded
checksum  of a tensor's bits, exact whatever computes it
"""

import copyreg
import enum
import functools
import hashlib
import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

_PACKAGE = __name__.rsplit(".", 2)[0]
PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, Path, np.number)
# What these hold is not what they do: addresses, locks, numbers that count uses, where something is computed.
_OPAQUE = (torch.device, torch.Generator, types.ModuleType, types.FrameType)
_COMPILED = (types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType, types.MethodDescriptorType,
             types.ClassMethodDescriptorType)  # fmt: skip
_LIBRARIES = ("builtins", "torch", "numpy", "enum", "abc", "typing", "collections")
# How a module lies in memory.
_LOADED = re.compile(
    r"(prev_)?comfy_\w+|\w*lowvram\w*|(model_)?loaded_\w+|offload\w*|seed_key|skip_injection|\w*uuid|(weight|bias)_function"
)
_TORCHS = {*vars(torch.nn.Module()), "_modules", "_parameters", "_buffers"}
_DEEPEST = 60
_PIECE = 2**17  # words at once: a megabyte, which stays in the processor's cache
_ODD = -7046029254386353131  # 2^64 / golden ratio, odd, as a signed number


def digest(value, special=None, tell=lambda: None):
    """Hexadecimal. special: {class: function(value) -> what counts of it}; tell() is called for each tensor."""
    walk = _Walk(special or {}, tell)
    walk.feed(value)
    return walk.hash.hexdigest()


def checksum(tensor):
    """A number of 64 bits. Every word is multiplied by an odd number of its place, so that no change of a single one goes unseen. Sums of
    whole numbers are the same in any order: on a GPU, and with any number of threads."""
    data = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
    total = torch.zeros((), dtype=torch.int64, device=data.device)
    odd = torch.arange(min(_PIECE, data.numel() // 8 + 1), device=data.device) * 2 + 1
    for number, piece in enumerate(data.split(8 * _PIECE)):
        if piece.numel() % 8 or piece.storage_offset() % 8:
            piece = torch.cat([piece, piece.new_zeros(-piece.numel() % 8)])
        words = piece.view(torch.int64)
        mixed = words >> 29
        mixed.bitwise_xor_(words).mul_(_ODD)
        mixed.bitwise_xor_(mixed >> 32)
        total += mixed.sum() * (2 * number * _PIECE)  # the place of the piece, and of each word in it
        total += mixed.mul_(odd[: len(words)]).sum()
    return int(total) % 2**64


def code(*modules):
    """Digest of functions, classes and plain values at the top of these modules and of all of this pack that they import."""
    reached, waiting = {}, list(modules)
    while waiting:
        module = waiting.pop()
        if module.__name__ in reached:
            continue
        reached[module.__name__] = module
        for value in vars(module).values():
            name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
            if isinstance(name, str) and name.startswith(f"{_PACKAGE}.") and name in sys.modules:
                waiting.append(sys.modules[name])
    found = {}
    for name, module in reached.items():
        own = {key: value for key, value in vars(module).items() if not key.startswith("__") and _is_code(value)}
        found[name.removeprefix(f"{_PACKAGE}.")] = own
    return digest(found)


def _is_code(value):
    return isinstance(value, (str, int, float, tuple, type, functools.partial)) or callable(value)


class _Walk:
    def __init__(self, special, tell):
        self.hash, self._special, self._tell = hashlib.sha256(), special, tell
        self._seen, self._depth = {}, 0

    def feed(self, value):
        if isinstance(value, enum.Enum):
            return self._say(type(value).__qualname__, value.name)
        if isinstance(value, PLAIN):
            return self._say(type(value).__name__, repr(value))
        if not isinstance(value, (tuple, frozenset, types.CodeType, torch.Tensor)):  # of these, equal ones may be one or two
            if id(value) in self._seen:
                return self._say("again", self._seen[id(value)][0])
            self._seen[id(value)] = len(self._seen), value  # kept, so that no other value gets its address
        if self._depth == _DEEPEST:
            return self._say("deep", type(value).__qualname__)
        self._depth += 1
        try:
            self._one(value)
        finally:
            self._depth -= 1

    def _say(self, *words):
        self.hash.update("\x1f".join(map(str, words)).encode("utf-8", "surrogatepass") + b"\x1e")

    def _one(self, value):
        for kind, counts in self._special.items():
            if isinstance(value, kind):
                self._say("special", kind.__qualname__)
                return self.feed(counts(value))
        if isinstance(value, torch.Tensor):
            self._tensor(value)
        elif isinstance(value, np.ndarray):
            self._say("array", value.shape, value.dtype, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest())
        elif isinstance(value, Mapping):
            self._say("mapping", len(value))
            for _, key in sorted(((self._apart(key), key) for key in value), key=lambda one: one[0]):
                self.feed(key)
                self.feed(value[key])
            self._beside(value)
        elif isinstance(value, (set, frozenset)):
            self._say("set", *sorted(map(self._apart, value)))
        elif isinstance(value, (list, tuple)):
            self._say("list", len(value))
            for one in value:
                self.feed(one)
            self._beside(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, torch.nn.Module):
            self._module(value)
        elif isinstance(value, functools.partial):
            self.feed(("partial", value.func, value.args, value.keywords))
        elif inspect.ismethod(value):
            self.feed(("method", value.__func__, value.__self__))
        elif inspect.isfunction(value):
            self._function(value)
        elif callable(value) and inspect.isfunction(inspect.unwrap(value)):  # as functools' cache makes of a function
            self.feed(inspect.unwrap(value))
        elif isinstance(value, _OPAQUE):
            self._say("opaque", type(value).__qualname__, getattr(value, "__name__", ""))
        elif isinstance(value, _COMPILED):
            self._say("compiled", value.__qualname__)
            self.feed(getattr(value, "__self__", None))
        else:
            self._object(value)

    def _apart(self, value):
        walk = _Walk(self._special, self._tell)
        walk.feed(value)
        return walk.hash.hexdigest()

    def _tensor(self, tensor):
        self._tell()
        parts, plain = {}, type(tensor) in (torch.Tensor, torch.nn.Parameter)
        self._say("tensor", "" if plain else type(tensor).__qualname__, tuple(tensor.shape), tensor.dtype)
        if not plain:  # quantized ones keep their numbers and scales beside
            parts = {name: part for name, part in vars(tensor).items() if not name.startswith("__")}
        self.feed(parts)
        if tensor.device.type == "meta":
            self._say("no numbers")
        elif not any(isinstance(part, torch.Tensor) for part in parts.values()):
            self._say(checksum(tensor.as_subclass(torch.Tensor)))

    def _class(self, kind):
        """By name, and by its functions and plain values where it is not a large library's."""
        for one in kind.__mro__:
            self._say("class", one.__module__.removeprefix(f"{_PACKAGE}."), one.__qualname__)
            if one.__module__.partition(".")[0] in _LIBRARIES:
                continue
            for name, value in sorted(vars(one).items()):
                value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
                value = value.fget if isinstance(value, property) else value
                if inspect.isfunction(value) or (isinstance(value, PLAIN) and not name.startswith("__")):
                    self._say(name)
                    self.feed(value)

    def _module(self, module):
        """By its weights, its parts' code, and what they hold beside."""
        self.feed(dict(module.state_dict()))
        for path, part in module.named_modules():
            self._say("module", path)
            self._class(type(part))
            own = {name: one for name, one in vars(part).items() if one is not None and name not in _TORCHS}
            self.feed({name: one for name, one in own.items() if not _LOADED.fullmatch(name)})

    def _function(self, function):
        """A library's wrapper is passed over, any other one counts: what it does with the function may hang on its own numbers."""
        while function.__globals__.get("__name__", "").partition(".")[0] in _LIBRARIES and hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        if not inspect.isfunction(function):
            return self.feed(function)
        self.feed((function.__code__, function.__defaults__, function.__kwdefaults__))
        read = {name: function.__globals__[name] for name in function.__code__.co_names if name.isupper() and name in function.__globals__}
        self.feed({name: one for name, one in read.items() if isinstance(one, PLAIN)})  # constants: other globals may count calls
        for cell in function.__closure__ or ():
            try:
                self.feed(cell.cell_contents)
            except ValueError:
                self._say("empty")

    def _code(self, code):
        self._say("code", code.co_name, code.co_code.hex(), code.co_names, code.co_varnames)  # without file and lines
        self.feed(code.co_consts)

    def _object(self, value):
        """By what it holds by name, or else, as a deque, by what a copy would be made of. What cannot be copied either, as a lock, is known
        by its class."""
        self._class(type(value))
        held = _held(value)
        if held:
            return self.feed(held)
        try:
            parts = copyreg.dispatch_table.get(type(value), lambda one: one.__reduce_ex__(2))(value)
        except Exception:  # any class may say it in its own way
            return self._say("not copied")
        self.feed(parts if isinstance(parts, str) else [list(part) if isinstance(part, Iterator) else part for part in parts[1:]])

    def _beside(self, value):
        """Of one that is a collection, and more."""
        if type(value) not in (tuple, list, dict) and (held := _held(value)):
            self.feed(held)


def _held(value):
    """{name: what an object holds} in its dictionary and in slots."""
    held = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = {name for name, one in vars(kind).items() if isinstance(one, types.MemberDescriptorType)}
        held |= {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return held
