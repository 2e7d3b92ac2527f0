"""ComfyUI's official templates with our node before every sampler: a dozen that cover the paths; benchmarks.templates tries all."""

import pytest
from text_layers.benchmarks.templates import __main__ as benchmark

pytestmark = pytest.mark.needs_comfyui("0.30")

# What each of them has that others have not.
TEMPLATES = {
    "01_get_started_text_to_image": "a sampler inside a subgraph",
    "02_qwen_Image_edit_subgraphed": "references in both prompts, encoded with them",
    "flux_fill_inpaint_example": "a hole, DifferentialDiffusion",
    "flux_kontext_dev_basic": "a reference latent",
    "image_ideogram4_t2i": "a model for each half of CFG",
    "image_omnigen2_image_edit": "a guider with two prompts",
    "image_boogu_image_0_1_edit": "a node that encodes both prompts at once, SamplerCustom",
    "sdxl_simple_example": "two samplers, two models, a part of the steps each",
    "hunyuan_video_text_to_video": "frames, BasicGuider",
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


def test_a_cache_of_keys_takes_the_own_run_alone():
    """Flux KV Cache, with Flux2Scheduler."""
    own, same = rows("image_flux2_klein_9b_kv_image_edit")
    assert own["ok"], own
    assert same["refused"] and "remember" in same["reason"]
