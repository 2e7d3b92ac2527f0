"""The weights that ship: words, colours and shapes of their pictures, and what patching their text layers changes."""

from functools import cache

import pytest
from text_layers.benchmarks.editing import demo_edit, demo_quality
from text_layers.demo.comfy_model import MODELS, WEIGHTS

pytestmark = pytest.mark.any_comfyui


WORDS, PAIRS = 20, 6  # of the full benchmarks' 200 words and 102 pairs: demo_quality.py and demo_edit.py of benchmarks/editing


@pytest.mark.long  # the weights change with a training alone; test_demo_command and localization/test_check draw with both
@pytest.mark.parametrize("name", MODELS)
def test_they_draw_words_that_they_never_saw(name, ocr):
    """90 % of the words read exactly, 95 % of colours and shapes right."""
    found = demo_quality.quality(name, WORDS, 11, ocr)
    assert found["exact"] >= 0.9 * WORDS, found
    assert found["colours"] >= 0.95 * WORDS, found
    assert found["shape"] >= 0.95 * WORDS, found


@pytest.fixture(scope="module")
def edits(ocr):
    """model name -> summary of some pairs with another word and other colours, half of them of another length; drawn once."""

    @cache
    def summary(name):
        pairs = demo_edit.held_out_pairs(PAIRS, 7)
        kinds = ("source", "target", "edit", "complement", "random")
        return demo_edit.summarize(demo_edit.measure(ocr, pairs, False, 7, demo_edit.draw(name, pairs, False, 7, kinds)))

    return summary


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_the_text_layers_carry_the_word_and_nothing_else(name, edits):
    """The thresholds are those of the full benchmark."""
    found = edits(name)
    assert found["edit"]["reads_target_of_readable"] >= 0.85 * found["target_read_exactly"], found
    assert found["edit"]["colours_of_source"] >= 0.95 * PAIRS, found
    assert found["edit_minus_target_psnr"] >= 10, found
    assert found["complement"]["reads_source"] >= 0.7 * found["source_read_exactly"], found
    assert found["random"]["reads_target_of_readable"] <= 0.1 * PAIRS, found


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_the_other_layers_carry_the_colours(name, edits):
    found = edits(name)
    assert found["complement"]["colours_of_target"] >= 0.95 * PAIRS, found


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_fit_into_git(name):
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size <= 12 * 10**6
