"""EasyOCR is where ComfyUI wants it: on its device while it reads, elsewhere when others need the memory."""

import comfy.model_management
import numpy as np
import pytest
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from text_layers.scoring.loaded import whole_model
from text_layers.scoring.ocr import EasyOcr


def sign():
    picture = Image.new("RGB", (240, 80), "white")
    ImageDraw.Draw(picture).text((30, 20), "HOTEL", "black", ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 40))
    return np.asarray(picture)


def places(ocr):
    parts = (ocr._reader.detector, ocr._reader.recognizer)
    return {tensor.device.type for part in parts for tensor in (*part.parameters(), *part.buffers())}


def is_loaded(ocr):
    return any(loaded.model is ocr._models for loaded in comfy.model_management.current_loaded_models)


def test_it_is_loaded_to_read_and_unloaded_with_all_models():
    ocr = EasyOcr()
    assert not is_loaded(ocr) and places(ocr) == {"cpu"}
    for _ in range(2):
        assert ocr.read(sign()) == "HOTEL"
        assert is_loaded(ocr) and places(ocr) == {comfy.model_management.get_torch_device().type}
        comfy.model_management.unload_all_models()
        assert not is_loaded(ocr) and places(ocr) == {comfy.model_management.vae_offload_device().type}


@pytest.mark.skipif(not comfy.model_management.is_device_cpu(comfy.model_management.get_torch_device()), reason="ComfyUI is on a GPU")
def test_with_cpu_it_leaves_the_gpu_alone(monkeypatch):
    """As with ComfyUI's --cpu on a machine that has a GPU."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        ocr = EasyOcr()
    assert ocr._reader.device == "cpu" and places(ocr) == {"cpu"} and ocr.read(sign()) == "HOTEL"


def test_it_is_offloaded_whole_or_not_at_all(monkeypatch):
    """The card is the processor, under another name."""
    card = torch.device("cpu", 0)
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: card)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    patcher = whole_model(module)
    assert (patcher.load_device, patcher.offload_device) == (card, torch.device("cpu")) and patcher.model_size() == 4 * (12 + 4 + 8 + 2)
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    loaded = patcher.loaded_size()
    assert loaded == patcher.model_size() and patcher.partially_unload(patcher.offload_device, 2**30) == 0
    assert patcher.loaded_size() == loaded, "a layer that is elsewhere could not be computed with"
    comfy.model_management.unload_all_models()
    assert patcher.loaded_size() == 0
