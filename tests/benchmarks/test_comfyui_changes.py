"""The page says what a ComfyUI has that the pack does not know, and what the pack says of it that is not so."""

from dataclasses import replace

import comfy.supported_models
import pytest
from text_layers.benchmarks.families.comfyui_changes import page
from text_layers.patching.adapters import FAMILIES, wan
from text_layers.testing.tiny_models import MODELS, NEWER

WAN = [tiny for tiny in MODELS if tiny.family == "wan" and tiny.kind in ("WAN21_T2V", "WAN21_I2V")]


@pytest.mark.needs_comfyui("0.30")
def test_this_comfyui_has_nothing_new_and_all_adapters_fit():
    text = page()
    assert f"{len(comfy.supported_models.models)} classes of models: 0 new, 0 of those that the pack knows gone; 0 faults" in text, text
    assert "##" not in text


@pytest.mark.needs_comfyui("0.30")
def test_what_does_not_fit_is_said():
    def said(family=wan.FAMILY, tiny_models=WAN, **more):
        return page(families=(family,), tiny_models=tiny_models, **more).splitlines()

    assert "| `WAN22_S2V` | image_model: wan2.1, model_type: s2v |" in said()
    assert "| `Wan21_Text` |" in said(tiny_models=[*WAN, replace(WAN[0], kind="Wan21_Text")])
    assert "| wan |  | there is no comfy.ldm.wan.model:Wan |" in said(replace(wan.FAMILY, classes=("comfy.ldm.wan.model:Wan",)))
    # Models of VACE have the second pattern: without one, nothing is called so.
    assert "| wan |  | no text layer is called vace_blocks.*.cross_attn |" in said()
    moved = said(replace(wan.FAMILY, layers=("blocks.*.text_attn",)))
    assert "| wan | WAN21_I2V | 0 text layers, 3 were expected |" in moved
    assert "| wan | WAN21_I2V | blocks.* has no argument text |" in said(replace(wan.FAMILY, counted="blocks.*:text"))
    assert "| wan | WAN21_I2V | no module is called block.* |" in said(replace(wan.FAMILY, counted="block.*:x"))
    assert any("has none of the projections" in line for line in said(replace(wan.FAMILY, lora=("to_q",))))
    broken = replace(WAN[0], config=WAN[0].config | {"dim": 25})
    assert any(line.startswith("| wan | WAN21_T2V | a tiny model cannot be built") for line in said(tiny_models=[broken]))
    assert "| `comfy.ldm.wan.model:Wan` |  | its class is not there |" in said(unservable=("comfy.ldm.wan.model:Wan",))


def test_families_without_tiny_models_are_the_packs_own():
    assert [family.name for family in FAMILIES if not any(tiny.family == family.name for tiny in [*MODELS, *NEWER])] == ["if"]
