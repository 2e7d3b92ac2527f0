"""The TEXT_LAYERS value: which attention layers of which architecture, and where they came from.

TextLayers      the frozen value that travels between nodes; JSON in, JSON out
parse_layers    a hand-written list ("55-57", "10:0+3", a module path) -> names and heads
list_layers     the other way
summary         the layers, for people
doubted         what was not shown of them
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .messages import is_broken, shortened

_FORMAT = 1


@dataclass(frozen=True)
class TextLayers:
    """family: adapter name; architecture: fingerprint of the model they belong to (see models.architecture);
    names: module paths in execution order; heads: name -> head numbers, layers without an entry mean all heads;
    scores: name -> localization score; source: where the choice came from, and doubt: what was not shown of it, "" for nothing to say,
    for people; record: JSON values, what a reviewer needs to judge layers that were localized (localization/record.py), empty for others.

    Raises ValueError when there is no layer, a name is twice, or heads or scores name a layer that is not chosen.
    """

    family: str
    architecture: str
    names: tuple[str, ...]
    heads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    doubt: str = ""
    record: Mapping = field(default_factory=dict)

    def __post_init__(self):
        if not self.names:
            raise ValueError("No text layer is chosen. Choose at least one, or leave the model unpatched.")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"A text layer is chosen twice: {shortened(', '.join(self.names))}")
        for name in (*self.heads, *self.scores):
            if name not in self.names:
                raise ValueError(f"Heads or scores are given for {shortened(name)}, which is not one of the chosen layers.")
        for name, heads in self.heads.items():
            if not heads:
                raise ValueError(f"No head of {name} is chosen. Name its heads, or leave it out of heads for all of them.")
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "heads", MappingProxyType({k: tuple(v) for k, v in self.heads.items()}))
        object.__setattr__(self, "scores", MappingProxyType(dict(self.scores)))
        object.__setattr__(self, "record", MappingProxyType(dict(self.record)))

    def __hash__(self):
        return hash(self.to_json())

    def __repr__(self):
        """ComfyUI writes it into the history of a node that fails, whatever a file has brought."""
        return f"<{len(self.names)} text layers of {shortened(self.architecture)}>"

    def to_json(self):
        plain = {**vars(self), "heads": dict(self.heads), "scores": dict(self.scores), "record": dict(self.record)}
        for name in ("doubt", "record"):
            if not plain[name]:
                del plain[name]
        return json.dumps({"text_layers": _FORMAT, **plain}, indent=2)

    @classmethod
    def from_json(cls, text):
        """Raises ValueError that says what is wrong with the text."""
        if text.startswith("\ufeff"):
            raise ValueError("This is not a text layers file: it begins with a byte order mark. Save it as UTF-8 without one (BOM).")
        try:
            data = json.loads(text, object_pairs_hook=_object)
        except RecursionError:
            raise ValueError("This is not a text layers file: its lists or objects are nested too deep.") from None
        except ValueError as error:
            raise ValueError(f"This is not a text layers file: {error}") from None
        if not isinstance(data, dict) or data.get("text_layers") != _FORMAT:
            raise ValueError(f'This is not a text layers file: it should begin with {{"text_layers": {_FORMAT}, ...}}.')
        checks = {
            "family": (_is_text, "text"),
            "architecture": (_is_text, "text"),
            "names": (lambda v: isinstance(v, list) and all(map(_is_text, v)), "a list of texts"),
            "heads": (
                lambda v: isinstance(v, dict) and all(isinstance(h, list) and all(map(_is_index, h)) for h in v.values()),
                "an object of lists of numbers from 0 on",
            ),
            "scores": (lambda v: isinstance(v, dict) and all(map(_is_score, v.values())), "an object of finite numbers"),
            "source": (_is_text, "text"),
            "doubt": (_is_text, "text"),
            "record": (lambda v: isinstance(v, dict) and _is_plain(v), "an object of texts and finite numbers"),
        }
        data.setdefault("doubt", "")
        data.setdefault("record", {})
        for key, (valid, expected) in checks.items():
            if key not in data:
                raise ValueError(f'The text layers file lacks "{key}".')
            if not valid(data[key]):
                raise ValueError(f'"{key}" of the text layers file holds something else than it should, which is {expected}.')
        return cls(**{key: data[key] for key in checks})


def _object(pairs):
    """Of two values with the same key the reader would silently take the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f'"{shortened(twice)}" stands in it twice')
    return found


def _is_text(value):
    return isinstance(value, str) and not is_broken(value)


def _is_index(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_plain(value):
    """JSON that can be written again. What is nested deeper than Python goes, its reader has refused."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif not (one is None or isinstance(one, bool) or _is_text(one) or _is_score(one)):
            return False
    return True


def _is_score(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


_NUMBER = r"[0-9]{1,9}"  # more digits number no layer, and thousands of them are more than Python reads
_HELP = "Write indices (10), ranges (55-57), module paths, each with heads if wanted (10:0+3), separated by commas."


def parse_layers(text, available):
    """A hand-written list -> (names in execution order, heads by name).

    text: items separated by commas or white space: an index, a range, a module path (its last part may be left out), each
    with `:head+head` if only some heads are meant. available: all text layers of the model, in execution order.
    Raises ValueError for an empty list, an item that is neither, or a layer that the model lacks.
    """
    chosen, heads = set(), {}
    items = text.replace(",", " ").split()
    if not items:
        raise ValueError(f"The list of text layers is empty. {_HELP}")
    for item in items:
        match = re.fullmatch(rf"([^:]+)(?::({_NUMBER}(?:\+{_NUMBER})*))?", item)
        if not match:
            raise ValueError(f'"{shortened(item)}" is not a text layer. {_HELP}')
        found = _find(match[1], available)
        if chosen & set(found):
            raise ValueError(f'"{shortened(item)}" chooses a text layer for the second time.')
        chosen.update(found)
        if match[2]:
            heads.update(dict.fromkeys(found, tuple(sorted({int(h) for h in match[2].split("+")}))))
    return tuple(name for name in available if name in chosen), heads


def _find(item, available):
    span = re.fullmatch(rf"({_NUMBER})(?:-({_NUMBER}))?", item)
    if span:
        first, last = int(span[1]), int(span[2] or span[1])
        if first > last:
            raise ValueError(f'The range "{item}" runs backwards.')
        if last >= len(available):
            raise ValueError(
                f"There is no text layer {last}: this model has {len(available)}, numbered 0 to {len(available) - 1}, "
                f"from {available[0]} to {available[-1]}."
            )
        return available[first : last + 1]
    named = [name for name in available if item == name or name.rpartition(".")[0] == item]
    if not named:
        raise ValueError(
            f'This model has no text layer "{shortened(item)}". {_HELP} It has {len(available)}, '
            f"from {available[0]} (index 0) to {available[-1]} (index {len(available) - 1})."
        )
    return named


def list_layers(text_layers, available):
    """The shortest list of these layers that parse_layers reads: neighbours as a range, those with heads by themselves."""
    items = []  # [first, last, heads]
    for layer in sorted(map(available.index, text_layers.names)):
        heads = text_layers.heads.get(available[layer])
        if items and heads is None and items[-1][1:] == [layer - 1, None]:
            items[-1][1] = layer
        else:
            items.append([layer, layer, heads])
    ranges = (f"{first}-{last}" if first < last else f"{first}" for first, last, _ in items)
    spans = zip(ranges, (heads for _, _, heads in items), strict=True)
    return ", ".join(span if heads is None else f"{span}:{'+'.join(map(str, heads))}" for span, heads in spans)


def summary(text_layers, available):
    """One line for people: indices and names."""
    parts = []
    for name in text_layers.names:
        only = f", heads {'+'.join(map(str, text_layers.heads[name]))}" if name in text_layers.heads else ""
        parts.append(f"{available.index(name)}: {name}{only}")
    doubt = f"\n{doubted(text_layers)}" if text_layers.doubt else ""
    return f"{len(parts)} of {len(available)} text layers ({text_layers.source})\n" + "\n".join(parts) + doubt


def doubted(text_layers):
    """What is in doubt of them, as a sentence."""
    return f"{text_layers.doubt[:1].upper()}{shortened(text_layers.doubt, 300)[1:]}."
