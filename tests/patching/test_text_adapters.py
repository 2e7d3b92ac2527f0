"""Models that turn a prompt's embeddings into others with weights of their own."""

import comfy.model_management
import pytest
import torch
from text_layers.benchmarks.families.checks import bench_of
from text_layers.testing.tiny_models import MODELS


@pytest.mark.needs_comfyui("0.30")  # which has Anima
def test_a_target_is_encoded_with_the_weights_that_sample():
    """A LoRA on Anima's text adapter is not in its weights before ComfyUI has loaded the model."""
    bench = bench_of(next(tiny for tiny in MODELS if tiny.kind == "Anima"))
    weights = {k: w for k, w in bench.model.model_state_dict().items() if "llm_adapter" in k and k.endswith("v_proj.weight")}
    assert weights
    bench.model.add_patches({k: ("diff", (torch.randn(w.shape, generator=torch.Generator().manual_seed(1)),)) for k, w in weights.items()})
    edit = bench.edit(bench.names)
    with torch.inference_mode():  # as ComfyUI runs; only so does Anima use its adapter before sampling
        first = bench.draw(bench.prompt(0), edit)
        assert torch.equal(bench.draw(bench.prompt(0), edit), first)
    comfy.model_management.unload_all_models()
