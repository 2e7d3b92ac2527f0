"""ComfyUI's official templates with our node before every sampler: a few here; benchmarks.families.templates tries all."""

import pytest
from text_layers.benchmarks.families.templates import __main__ as benchmark

pytestmark = pytest.mark.needs_comfyui("0.30")

# What each of them has that others have not.
TEMPLATES = {
    "01_get_started_text_to_image": "a sampler inside a subgraph",
    "02_qwen_Image_edit_subgraphed": "references in both prompts, encoded with them",
    "flux_fill_inpaint_example": "a hole, DifferentialDiffusion",
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
