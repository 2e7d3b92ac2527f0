"""Translations as the front end takes them: every node, input and output has an entry, and English says what the nodes say."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_comfyui("0.30")  # 0.3 knows no search words and fewer options; the texts are the same

ROOT = Path(__file__).parents[2]
LOCALES = ROOT / "locales"
LANGUAGES = ("zh", "ja", "ko", "fr", "de", "es", "ru")
# What the front end compiles as a message, where these would be read as placeholders, plurals and links; tooltips it shows as they are.
_SPECIAL = re.compile(r"[{}|@]")


def english(info):
    """nodeDefs.json of the pack's nodes, as the server describes them."""
    found = {}
    for node, about in sorted(info.items()):
        if not node.startswith("TextLayers"):
            continue
        declared = about["input"]
        inputs = {**declared.get("required", {}), **declared.get("optional", {})}
        found[node] = {
            "display_name": about["display_name"],
            "description": about["description"],
            "inputs": {name: {"name": name, "tooltip": spec[1]["tooltip"]} for name, spec in inputs.items()},
            "outputs": {
                str(slot): {"name": name, "tooltip": tooltip}
                for slot, (name, tooltip) in enumerate(zip(about["output_name"], about["output_tooltips"] or [], strict=True))
            },
        }
    return found


def read(language, name):
    return json.loads((LOCALES / language / f"{name}.json").read_text("utf-8"))


def leaves(value, path=()):
    """{path: text}"""
    if isinstance(value, dict):
        return {p: text for key, inner in value.items() for p, text in leaves(inner, (*path, key)).items()}
    return {path: value}


def test_english_is_what_the_nodes_say(server, tmp_path_factory):
    now = english(server.json("/object_info"))
    path = tmp_path_factory.getbasetemp() / "nodeDefs.json"
    path.write_text(json.dumps(now, indent=2) + "\n")
    assert read("en", "nodeDefs") == now, f"Take {path} for locales/en/nodeDefs.json and carry the change into the other languages."


@pytest.mark.parametrize("name", ["nodeDefs", "main"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language, name):
    original, translated = leaves(read("en", name)), leaves(read(language, name))
    assert translated.keys() == original.keys()
    for path, text in translated.items():
        assert text.strip() == text != "", path
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", original[path])), path
        if path[-1] in ("tooltip", "description"):
            assert text != original[path], f"{path} is still English"
        if name == "nodeDefs" and path[-1] != "tooltip":
            assert not _SPECIAL.search(text), path


def test_the_server_hands_out_all_languages(server):
    served = server.json("/i18n")
    for language in ("en", *LANGUAGES):
        assert served[language]["nodeDefs"]["TextLayersPatchPrompt"] == read(language, "nodeDefs")["TextLayersPatchPrompt"]
