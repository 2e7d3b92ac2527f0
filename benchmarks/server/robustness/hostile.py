"""Values that no node should be given.

TOO_DEEP      stands for nesting that JSON parsers refuse, see body
TRAVERSALS    file names that lead out of a folder; each holds STOLEN
values        {name: value} for one input
links         {name: (value, nodes to add)} that reach an input past the checks of ComfyUI's validation
nodes         {name: function(prompt, id)} that break a whole node
BODIES        what is no prompt at all
"""

import json

TOO_DEEP = "@too deep@"
STOLEN = "stolen-robustness"
TRAVERSALS = {
    "up": f"../{STOLEN}",
    "far up": "../" * 12 + f"tmp/{STOLEN}",
    "up in the middle": f"loras/../../{STOLEN}",
    "absolute": f"/tmp/{STOLEN}",
    "home": f"~/{STOLEN}",
    "of Windows": f"..\\..\\{STOLEN}",
    "drive": f"C:\\{STOLEN}",
    "share": f"//server/{STOLEN}",
    "encoded": f"%2e%2e%2f{STOLEN}",
    "file URL": f"file:///tmp/{STOLEN}",
    "NUL at the end": f"../{STOLEN}\0.json",
    "in a folder of that name": f"../{STOLEN}/{STOLEN}.json",
}
_LONG = 100_000  # characters
_TEXTS = {
    "empty text": "",
    "spaces": "   \t\n ",
    "very long word": "A" * _LONG,
    "very many words": "a red sign " * (_LONG // 11),
    "very many quotes": '"' * _LONG,
    "very many commas": ",\n" * (_LONG // 2),
    "longer than a file name": "é" * 99,
    "NUL": "CA\0FE",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x9b",
    "right to left": "\u202eEFAC\u202c\u200f שלום",
    "unicode": "ﬁ Ⓒ 𝒜 İ ß 字 ٣ 👩‍👩‍👧 e\u0301",
    "half a character": "CAFE \ud800",
    "format": "%s %n {word} {0.__class__} ${HOME} %date:yyyy%",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "Windows device": "NUL",
    "dots": "...",
    "many digits": "9" * 5000,
    "range without end": "0-99999999999999999999",
    "heads": "0:" + "9" * 5000,
    "colons": ":::",
    "stars": "*, **, *",
    "regular expression": "(a+)+$ [ ( \\",
}
_NUMBERS = {
    "zero": 0,
    "minus one": -1,
    "a half": 0.5,
    "2^31": 2**31,
    "2^63": 2**63,
    "2^64": 2**64,
    "-2^63 - 1": -(2**63) - 1,
    "10^30": 10**30,
    "1e308": 1e308,
    "5e-324": 5e-324,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "-infinity": -float("inf"),
    "number as text": "7",
    "NaN as text": "nan",
}
_OTHERS = {
    "null": None,
    "true": True,
    "false": False,
    "empty list": [],
    "list of numbers": [1, 2, 3],
    "list of nothing": [None, None],
    "empty object": {},
    "object": {"samples": "x", "__class__": {"__init__": 1}},
    "wrapped list": {"__value__": [[1, {}], 2]},
    "wrapped null": {"__value__": None},
    "wrapped object": {"__value__": {"samples": [1]}},
    "deep": json.loads("[" * 200 + "]" * 200),
    "deep objects": json.loads('{"a":' * 200 + "1" + "}" * 200),
    "too deep": TOO_DEEP,
    "link to nothing": ["no such node", 0],
    "link to a number": [5, 0],
    "link without slot": ["2"],
    "link to a huge slot": ["2", 10**30],
}
_ASKS_TOO_MUCH = {"batch_size": 64}  # more would be refused by no check, and end the process where memory does
HOSTILE = {**_NUMBERS, **_TEXTS, **{f"path {name}": value for name, value in TRAVERSALS.items()}, **_OTHERS}


def values(name, spec):
    """name, spec: of an input, as object_info tells it."""
    options = spec[1] if len(spec) > 1 else {}
    found = dict(HOSTILE)
    if "max" in options:
        top = min(options["max"], _ASKS_TOO_MUCH.get(name, options["max"]))
        found |= {"largest": top, "past the largest": options["max"] + 1, "past the smallest": options["min"] - 1}
    return found


def links(prompt, node, spec, info):
    """Of core's own nodes: numbers and texts beyond what the input declares, values of any type, and things of the right type that fit
    nothing else in the graph."""
    kind = "COMBO" if isinstance(spec[0], list) else spec[0]
    found = {"itself": ([node, 0], {})}
    for number, other in enumerate(prompt):
        found[f"node {number}"] = ([other, 0], {})
        found[f"slot -1 of node {number}"] = ([other, -1], {})
    if kind == "INT":
        for name in ("minus one", "zero", "2^31", "-2^62", "2^62"):
            value = {"-2^62": -(2**62), "2^62": 2**62}.get(name, _NUMBERS.get(name))
            found[f"linked {name}"] = _link("PrimitiveInt", value=value)
    if kind == "FLOAT":
        for name in ("minus one", "zero", "NaN", "5e-324", "2^31"):
            found[f"linked {name}"] = _link("PrimitiveFloat", value=_NUMBERS[name])
    if kind == "STRING":
        found |= {f"linked {name}": _link("PrimitiveString", value=value) for name, value in _TEXTS.items()}
    if "ComfySwitchNode" in info:  # passes any value through to any input
        for name, value in HOSTILE.items():
            found[f"switched {name}"] = _link("ComfySwitchNode", switch=True, on_false=value, on_true=value)
    for name, (class_type, inputs) in _MISFITS.get(kind, {}).items():
        found[f"misfit {name}"] = _link(class_type, **inputs)
    return found


# Of the right type, and still nothing that fits.
_MISFITS = {
    "MODEL": {"of another architecture": ("TextLayersLoadDemoModel", {"demo_model": "mmdit"})},
    "LATENT": {
        "of one row": ("EmptyLatentImage", {"width": 512, "height": 16, "batch_size": 1}),
        "of many": ("EmptyLatentImage", {"width": 64, "height": 32, "batch_size": 7}),
        "of sound": ("EmptyLatentAudio", {"seconds": 1.0, "batch_size": 1}),
        "of video": ("EmptyHunyuanLatentVideo", {"width": 64, "height": 32, "length": 5, "batch_size": 1}),
    },
    "IMAGE": {
        "of one pixel": ("EmptyImage", {"width": 1, "height": 1, "batch_size": 1, "color": 0}),
        "of another size": ("EmptyImage", {"width": 63, "height": 37, "batch_size": 1, "color": 0xFFFFFF}),
        "of many": ("EmptyImage", {"width": 64, "height": 32, "batch_size": 5, "color": 0}),
    },
    "SIGMAS": {
        "none": ("ManualSigmas", {"sigmas": ""}),
        "one": ("ManualSigmas", {"sigmas": "1.0"}),
        "rising": ("ManualSigmas", {"sigmas": "0.1, 0.5, 1.0, 0.0"}),
        "huge": ("ManualSigmas", {"sigmas": "1e30, 1.0, 0.0"}),
        "negative": ("ManualSigmas", {"sigmas": "-1.0, -0.5, 0.0"}),
        "zeros": ("ManualSigmas", {"sigmas": "0.0, 0.0, 0.0"}),
    },
    "CLIP": {
        "none": (
            "TextLayersLoadDeepFloydIF",
            {"unet": "tiny-IF", "text_encoder": "none", "dynamic_thresholding": True},
        )
    },
}
_SLOTS = {"TextLayersLoadDeepFloydIF": 1}


def _link(class_type, **inputs):
    return ["hostile", _SLOTS.get(class_type, 0)], {"hostile": {"class_type": class_type, "inputs": inputs}}


def _set(key, value):
    def broken(prompt, node):
        prompt[node][key] = value

    return broken


def _drop(key):
    def broken(prompt, node):
        del prompt[node][key]

    return broken


def _instead(value):
    def broken(prompt, node):
        prompt[node] = value

    return broken


def _extra(prompt, node):
    prompt[node]["inputs"] |= {"no such input": 1, "../": [], "__class__": "x", "self": 1, "cls": None, "kwargs": {}, "": TOO_DEEP[:3]}


def _output_of_itself(prompt, node):
    for other in prompt.values():
        other["inputs"] |= {name: [node, 99] for name, value in other["inputs"].items() if isinstance(value, list) and value[0] == node}


nodes = {
    "no inputs": _drop("inputs"),
    "inputs null": _set("inputs", None),
    "inputs a list": _set("inputs", [1]),
    "inputs a text": _set("inputs", "model"),
    "inputs empty": _set("inputs", {}),
    "no class": _drop("class_type"),
    "class null": _set("class_type", None),
    "class a list": _set("class_type", ["x"]),
    "class unknown": _set("class_type", "TextLayers../../x"),
    "class of another letter": _set("class_type", "TEXTLAYERSLOAD\0"),
    "meta": _set("_meta", {"title": ["x" * 1000]}),
    "changed for ever": _set("is_changed", [float("nan")]),
    "null": _instead(None),
    "a text": _instead("TextLayersLoad"),
    "a list": _instead([]),
    "a number": _instead(1),
    "inputs that it has not": _extra,
    "outputs that it has not": _output_of_itself,
}


def body(value):
    """JSON that Python's own writer would refuse as well as what it takes."""
    deep = "[" * 100_000 + "]" * 100_000
    return json.dumps(value).replace(json.dumps(TOO_DEEP), deep).encode()


BODIES = {
    "empty": b"",
    "no JSON": b"{prompt}",
    "binary": bytes(range(256)) * 8,
    "cut off": b'{"prompt": {"1": {"class_type": "TextLayersLoad", "inputs": {',
    "byte order mark": b"\xef\xbb\xbf{}",
    "nested": b"[" * 100_000,
    "null": b"null",
    "a list": b"[]",
    "prompt null": b'{"prompt": null}',
    "prompt a list": b'{"prompt": []}',
    "prompt a text": b'{"prompt": "TextLayersLoad"}',
    "prompt empty": b'{"prompt": {}}',
    "number no number": b'{"prompt": {}, "number": "x"}',
    "extra data a list": b'{"prompt": {}, "extra_data": []}',
    "same key twice": b'{"prompt": {"1": {"class_type": "TextLayersLoad", "inputs": {}, "inputs": {"file": 1, "file": 2}}}}',
}
