"""Files that Load Text Layers should refuse, and what it says of each.

write      all of them, into a server's models folder
refusals   {name: what the node said, or None where it took the file}
"""

import json

from .fuzz import SAID, judge

_LARGE = 100 * 2**20  # bytes


def _changed(layers, **changes):
    return json.dumps({**layers, **changes}).encode()


def write(base, valid):
    """base: the server's base folder; valid: text of a file that is right. Returns the names of the files."""
    layers = json.loads(valid)
    name = layers["names"][0]
    scored = _changed(layers, scores={name: 0.5})
    files = {
        "empty": b"",
        "null": b"null",
        "list": b"[]",
        "text": b'"text_layers"',
        "other JSON": b'{"last_node_id": 7, "nodes": []}',
        "binary": bytes(range(256)) * 40,
        "zeros": bytes(1000),
        "UTF-16": valid.encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + valid.encode(),
        "cut off": valid.encode()[:-20],
        "NaN": scored.replace(b"0.5", b"NaN"),
        "infinity": scored.replace(b"0.5", b"-Infinity"),
        "too large a number": scored.replace(b"0.5", b"1e999"),
        "number of many digits": scored.replace(b"0.5", b"9" * 5000),
        "score a text": scored.replace(b"0.5", b'"0.5"'),
        "nested lists": b"[" * 500_000,
        "nested objects": b'{"names":' * 100_000,
        "nested inside": valid.encode().replace(json.dumps(name).encode(), b"[" * 100_000 + b"]" * 100_000, 1),
        "pointing at itself": _changed(layers, names={"$ref": "#"}),
        "same key twice": valid.encode().replace(b'"family"', b'"family": "mmdit", "family"', 1),
        "same layer twice": _changed(layers, names=[name, name]),
        "names a text": _changed(layers, names=name),
        "names of numbers": _changed(layers, names=[1, 2]),
        "no names": _changed(layers, names=[]),
        "a million names": _changed(layers, names=["x"] * 100_000),
        "unknown name": _changed(layers, names=["../" * 1000]),
        "half a character": _changed(layers, names=["\ud800"]),
        "half a character as source": _changed(layers, source="\ud800"),
        "heads without a number": _changed(layers, heads={name: []}),
        "heads of truth": _changed(layers, heads={name: [True]}),
        "head that is not there": _changed(layers, heads={name: [10**20]}),
        "heads of another layer": _changed(layers, heads={"x" * 10_000: [0]}),
        "another version": _changed(layers, text_layers=2),
        "another architecture": _changed(layers, architecture="A" * 100_000),
    }
    folder = base / "models" / "text_layers"
    for title, data in files.items():
        (folder / f"{title}.json").write_bytes(data)
    with (folder / "100 MB.json").open("wb") as file:
        file.write(b'{"text_layers": 1, "source": "')
        file.write(b"x" * _LARGE)
        file.write(b'"}')
    return [f"{title}.json" for title in (*files, "100 MB")]


def refusals(server, prompt, node, names):
    """prompt, node: a prompt with Load Text Layers and its id. What only ComfyUI or Python says counts as taken."""
    found = {}
    for name in names:
        prompt[node]["inputs"]["file"] = name
        errors = [body for kind, body in server.run(prompt)["status"]["messages"] if kind == "execution_error"]
        found[name] = errors[0]["exception_message"].strip() if errors and judge(errors[0]) == SAID else None
    return found
