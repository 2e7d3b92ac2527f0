"""Old workflows keep loading, and new ones begin as before: the nodes' ids, inputs and outputs against what was published; the rule is in
CONTRIBUTING.md.

Workflow files name sockets, but their widgets' values stand in a row: an input that moves or goes makes old files load wrong values.
"""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_comfyui("0.30")  # 0.3 writes some types otherwise

PUBLISHED = Path(__file__).with_name("schema.json")
# What an input says beside its name and type. Tooltips are texts, which may change: that there is one.
HELD = ("default", "min", "max", "step", "multiline", "forceInput", "advanced", "options", "control_after_generate", "dynamicPrompts")
OF_THE_MACHINE = ("lora_name", "file", "resume", "unet", "text_encoder", "sampler_name", "scheduler")  # files, and ComfyUI's own lists


def held(name, spec):
    """[name, type, what else is held]"""
    kind, said = spec[0], spec[1] if len(spec) > 1 else {}
    if not isinstance(kind, str):  # ComfyUI's older way to write a choice
        kind, said = "COMBO", {"options": kind, **said}
    about = {key: said[key] for key in HELD if key in said and not (key in ("options", "default") and name in OF_THE_MACHINE)}
    return [name, kind, {**about, "tooltip": bool(said.get("tooltip"))}]


def schema(info):
    """{node: {"required", "optional", "outputs"}} of the pack's nodes."""
    found = {}
    for node, about in sorted(info.items()):
        if node.startswith("TextLayers"):
            inputs = {kind: about["input"].get(kind, {}) for kind in ("required", "optional")}
            found[node] = {kind: [held(*one) for one in own.items()] for kind, own in inputs.items()}
            outputs = about["output_name"], about["output"], about["output_tooltips"]
            found[node]["outputs"] = [[name, kind, {"tooltip": bool(tooltip)}] for name, kind, tooltip in zip(*outputs, strict=True)]
    return found


def of_old_workflows(inputs):
    return [(name, kind) for name, kind, _ in inputs]


def test_nothing_published_has_changed(server, tmp_path_factory):
    now, published = schema(server.json("/object_info")), json.loads(PUBLISHED.read_text())
    path = tmp_path_factory.getbasetemp() / "schema.json"
    path.write_text(written(now))
    advice = f"Read *Change a node* in CONTRIBUTING.md; when old workflows keep loading, take {path} for {PUBLISHED.name}."
    for node, about in published.items():
        assert node in now, f"{node} is gone. {advice}"
        for kind, before in about.items():
            after = now[node][kind]
            assert of_old_workflows(after)[: len(before)] == of_old_workflows(before), f"{node}: {kind} have changed. {advice}"
            for (name, _, was), (_, _, is_now) in zip(before, after, strict=False):
                gone = set(was.get("options", ())) - set(is_now.get("options", ()))
                assert not gone, f"{node}: {name} has lost {', '.join(gone)}, which old workflows hold. {advice}"
                assert is_now == was, f"{node}: what {name} says has changed: {was} -> {is_now}. {advice}"
        assert len(now[node]["required"]) == len(about["required"]), f"{node} has a new input that old workflows lack. {advice}"
    assert now == published, f"Something was added. {advice}"


def written(found):
    lines = []
    for node, about in found.items():
        kinds = (f"  {json.dumps(kind)}: [" + ",".join(f"\n    {json.dumps(one)}" for one in own) + "]" for kind, own in about.items())
        lines.append(f"{json.dumps(node)}: {{\n" + ",\n".join(kinds) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
