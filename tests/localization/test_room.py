"""Rows of a batch are chosen from the memory that is free, and where it runs out all the same, fewer follow, down to one."""

import comfy.model_management
import pytest
import torch
from text_layers.benchmarks.localization.searches import setting
from text_layers.demo import comfy_model
from text_layers.localization import drawing as module
from text_layers.localization.drawing import Drawing
from text_layers.localization.pairs import WordPair
from text_layers.localization.room import room, rows_that_fit
from text_layers.localization.sweep import Sweep
from text_layers.scoring.ocr import engine
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

PAIRS = [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT")]
GIB = 2**30


@pytest.fixture(scope="module")
def flux():
    return next(tiny for tiny in MODELS if tiny.kind == "Flux").build()


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("free", [0.01, 1, 3.3, 8, 24, 10_000])
def test_as_many_rows_as_comfyui_s_estimate_allows(flux, sides, free):
    """At 1024 x 1024. What ComfyUI asks for as many rows and for one more."""
    shape = (1, 16, 128, 128)
    rows = rows_that_fit(flux, shape, 16, sides, free * GIB)
    asked = [flux.model.memory_required([n * sides, *shape[1:]]) / GIB for n in range(18)]
    assert 1 <= rows <= 16 and (rows == 1 or asked[rows] <= free) and (rows == 16 or asked[rows + 1] > free)


def test_the_cpu_has_no_such_limit_and_a_search_asks_before_its_first_call(monkeypatch):
    model, clip, vae = comfy_model.load("mmdit")
    assert room(model) is None
    drawing = Drawing(model, clip, vae, PAIRS, setting(0, 16))
    assert drawing.rows == drawing.fits == 16
    need = [model.model.memory_required([2 * n, *drawing._latent.shape[1:]]) for n in range(17)]
    monkeypatch.setattr(module, "rows_that_fit", lambda *given: rows_that_fit(*given, free=need[5]))
    drawing = Drawing(model, clip, vae, PAIRS, setting(0, 16))
    assert drawing.rows == drawing.fits == 5 and drawing.model_calls == 0


@pytest.mark.parametrize("name", ["unet", "mmdit"])
def test_where_two_rows_are_too_many_one_follows(name, tmp_path, monkeypatch):
    """Also where a target's own run was a row beside."""
    demo = comfy_model.load(name)
    candidates = [(0,), (1, 2), (0, 1, 2)]

    def sweep(folder):
        return Sweep(Drawing(*demo, PAIRS, setting(0, 16)), engine("RapidOCR"), tmp_path / folder)

    wanted = sweep("a").closeness(candidates, range(2))
    small, apply_model, refused = sweep("b"), demo[0].model._apply_model, []

    def refuse(x, *args, **kwargs):
        if len(x) > 1:  # first predictions have no negative prompt beside them
            refused.append(len(x))
            raise torch.OutOfMemoryError("no memory")
        return apply_model(x, *args, **kwargs)

    monkeypatch.setattr(comfy.model_management, "OOM_EXCEPTION", torch.OutOfMemoryError)
    monkeypatch.setattr(demo[0].model, "_apply_model", refuse)
    found = small.closeness(candidates, range(2))
    assert small.drawing.rows == 1 and refused[-1] == 2
    for layers in wanted:
        assert found[layers] == pytest.approx(wanted[layers], abs=1e-3)
    monkeypatch.setattr(demo[0].model, "_apply_model", lambda x, *args, **kwargs: refuse(torch.cat([x, x])))
    with pytest.raises(torch.OutOfMemoryError):
        small.closeness([(3,)], range(1))
