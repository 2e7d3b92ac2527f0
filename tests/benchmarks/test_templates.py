"""ComfyUI's official templates with our node before every sampler: a few here; benchmarks.families.templates tries all."""

import pytest
from text_layers.benchmarks.families.templates import __main__ as benchmark

pytestmark = pytest.mark.needs_comfyui("0.30")

# What each of them has that others have not.
TEMPLATES = {
    "01_get_started_text_to_image": "a sampler inside a subgraph",
    "02_qwen_Image_edit_subgraphed": "references in both prompts, encoded with them",
    "flux_fill_inpaint_example": "a hole, DifferentialDiffusion",
    "flux_kontext_dev_basic": "a reference latent",
    "image_flux2_text_to_image": "Flux2Scheduler, BasicGuider",
    "image_krea2_turbo_t2i_int8": "the file of rotated 8-bit weights",
    "image_omnigen2_t2i": "DualCFGGuider",
    "image_qwen_image_edit_2509": "TextEncodeQwenImageEditPlus, three pictures",
    "sdxl_refiner_prompt_example": "two samplers of two models, the second behind the first",
    "template_ltx2_3_style_transition": "ManualSigmas, a video with sound",
    "wan2.1_fun_inp": "a picture that CLIP vision has seen",
}
REFUSED = {
    "image_flux2_klein_9b_kv_image_edit": "FluxKVCache keeps the references' keys from step to step",
    "image_ideogram4_t2i": "DualModelGuider: the negative prompt has a model of its own",
}


@pytest.fixture(scope="module", autouse=True)
def comfyui():
    benchmark.prepare()


def rows(name):
    (path,) = (path for path in benchmark.templates() if path.stem == name)
    return benchmark.rows_of(path)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_with_our_node(name):
    for row in rows(name):
        assert row["ok"], row


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_is_refused_in_words(name):
    found = rows(name)
    assert any(row["refused"] for row in found)
    for row in found:
        assert row["ok"] or (row["refused"] and row["reason"]), row
