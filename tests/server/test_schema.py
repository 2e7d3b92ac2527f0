"""Old workflows keep loading: ids, inputs and outputs of the nodes against what was published; the rule is in CONTRIBUTING.md.

Workflow files name sockets, but their widgets' values stand in a row: an input that moves or goes makes old files load wrong values.
"""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_comfyui("0.30")  # 0.3 writes some types otherwise

PUBLISHED = Path(__file__).with_name("schema.json")


def schema(info):
    """{node: {"required", "optional", "outputs": [[name, type]]}} of the pack's nodes."""
    found = {}
    for node, about in sorted(info.items()):
        if node.startswith("TextLayers"):
            found[node] = {
                kind: [[name, spec[0] if isinstance(spec[0], str) else "COMBO"] for name, spec in about["input"].get(kind, {}).items()]
                for kind in ("required", "optional")
            }
            found[node]["outputs"] = [list(pair) for pair in zip(about["output_name"], about["output"], strict=True)]
    return found


def test_nothing_published_has_changed(server, tmp_path_factory):
    now, published = schema(server.json("/object_info")), json.loads(PUBLISHED.read_text())
    path = tmp_path_factory.getbasetemp() / "schema.json"
    lines = [f"{json.dumps(node)}: {json.dumps(about)}" for node, about in now.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    advice = f"Read *Change a node* in CONTRIBUTING.md; when old workflows keep loading, take {path} for {PUBLISHED.name}."
    for node, about in published.items():
        assert node in now, f"{node} is gone. {advice}"
        for kind, before in about.items():
            assert now[node][kind][: len(before)] == before, f"{node}: {kind} inputs or outputs have changed. {advice}"
        assert now[node]["required"] == about["required"], f"{node} has a new input that old workflows lack. {advice}"
    assert now == published, f"Something was added. {advice}"
