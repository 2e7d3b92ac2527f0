"""The paper's benchmark: its prompts, its rivals, and that it goes on where it stopped."""

import json
import sys

import numpy as np
import pytest
from scipy.stats import binomtest
from text_layers.benchmarks.editing.paper import cases, flow_edit, table
from text_layers.benchmarks.editing.paper.methods import METHODS, Bench
from text_layers.benchmarks.editing.paper.models import load
from text_layers.benchmarks.editing.paper.prompt_to_prompt import share_attention
from text_layers.localization.pairs import parse_pairs
from text_layers.scoring.mask import mask_words
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.any_comfyui

NOTHING = dict.fromkeys(("steps", "cfg", "start", "width", "height", "sampler", "scheduler"))


@pytest.fixture(scope="module", params=["unet", pytest.param("mmdit", marks=pytest.mark.long)])
def bench(request):
    return Bench(load(request.param, NOTHING), None, 3)


@pytest.fixture(scope="module")
def batch():
    return list(enumerate(cases.signs("word and colours", 2, 4)))


def test_prompts_of_files_and_templates():
    pairs = parse_pairs("CAFE, HOTEL\nNORTH, SOUTH")
    (first, second) = cases.of_template('A sign that says "{word}".', pairs)
    assert first == cases.Case('A sign that says "CAFE".', 'A sign that says "HOTEL".', "CAFE", "HOTEL") and second.target_word == "SOUTH"
    found = cases.of_prompts('a mug with "Hello" on it, "big"\n\nneon, <open>\na sign “old”', pairs)
    assert [case.source for case in found] == ['a mug with "CAFE" on it, "big"', 'neon, "NORTH"', 'a sign "CAFE"']
    with pytest.raises(ValueError, match="Line 2"):
        cases.of_prompts('a "b"\nno quotes', pairs)
    drawn = cases.signs("word", 6, 1)
    assert all(case.source.replace(case.source_word, case.target_word) == case.target for case in drawn)
    assert len({word for case in drawn for word in (case.source_word, case.target_word)}) == 12


def test_a_checkpoint_that_is_not_there():
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint sdxl\.safetensors; the demo models are called unet and mmdit"):
        load("sdxl.safetensors", NOTHING)


@pytest.mark.parametrize("bench", ["mmdit"], indirect=True)
def test_a_schedule_at_its_ends_is_the_source_or_the_target(bench, batch):
    from text_layers.benchmarks.editing.paper.methods import _schedule

    source = bench.source(batch)
    target = METHODS["target"].draw(bench, batch, source)
    late = bench.sample(batch, bench.prompts(batch, "source"), last_step=12)
    assert np.abs(bench.decode(late).astype(int) - source).max() <= 1
    early = _schedule(1 / 12)(bench, batch, source)
    assert np.square(early.astype(float) - target).mean() < np.square(early.astype(float) - source).mean()


@pytest.mark.parametrize("bench", ["unet"], indirect=True)
def test_inpainting_keeps_what_is_outside_its_mask(bench, batch):
    source = bench.source(batch)
    drawn = METHODS["inpaint"].draw(bench, batch, source)
    for before, after in zip(source, drawn, strict=True):
        far = ~mask_words(before, engine("RapidOCR"), 20)
        assert np.array_equal(before[far], after[far]) and not np.array_equal(before, after)


def test_prompt_to_prompt_shares_the_sources_maps(bench, batch):
    """With the same prompt on both sides nothing changes; with another, the target's rows are another picture and the source's are not."""
    model, steps = share_attention(bench.model, bench.setting.steps, bench.evolves), bench.setting.steps
    assert steps == 12
    both, source = [*batch, *batch], bench.source(batch)
    same = bench.draw(both, bench.encode([case.source for _, case in both]), model)
    assert np.abs(same[2:].astype(int) - source).max() <= 2, "rounding: attention is computed by another function"
    mixed = bench.draw(both, bench.encode([case.source for _, case in batch] + [case.target for _, case in batch]), model)
    plain = METHODS["target"].draw(bench, batch, source)
    assert np.abs(mixed[:2].astype(int) - source).max() <= 2
    assert np.abs(mixed[2:].astype(int) - plain).max() > 20


def test_flow_edit_goes_where_the_prompts_differ(bench, batch):
    """With the same prompt on both sides it stays at the source, with another it nears the target. The noise is each picture's own."""
    source = bench.source(batch)
    positive = bench.encode([case.source for _, case in [*batch, *batch]])
    same = bench.decode(flow_edit.flow_edit(bench, positive, bench.latents, [3, 4]))
    assert np.abs(same.astype(int) - source).max() <= 1
    target, found = (METHODS[name].draw(bench, batch, source).astype(float) for name in ("target", "flow_edit"))
    assert np.square(found - target).mean() < np.square(source - target).mean()
    bench.source(batch[1:])
    alone = METHODS["flow_edit"].draw(bench, batch[1:], source[1:])
    assert np.abs(alone - found[1:]).max() <= 2, "rounding: another batch is another order of additions"


def test_intervals_are_those_of_the_mean():
    rng = np.random.default_rng(0)
    values = rng.normal(20, 3, 400)
    words = dict.fromkeys(("f1", "paper_accuracy", "agreement", "similarity", "exact"), 1.0)
    rows = [
        {"method": "target", "words": words, "mse_in_8_bits": 1.0,
         "whole": {"mse": 0.1, "ssim": None, "paper_ssim": None, "psnr": float("inf")}, "background": {"psnr": value, "ssim": 0.5}}
        for value in values
    ]  # fmt: skip
    rows[0] |= {"whole": rows[0]["whole"] | {"ssim": 0.25}}
    found = table.summarize(rows, ["target"])["target"]
    low, high = found["background_psnr"]["interval"]
    error = 1.96 * values.std() / 20
    assert found["background_psnr"]["mean"] == pytest.approx(values.mean())
    assert low == pytest.approx(values.mean() - error, abs=0.05) and high == pytest.approx(values.mean() + error, abs=0.05)
    assert found["whole_ssim"]["mean"] == 0.25 and found["whole_psnr"]["mean"] == 100
    exact = binomtest(400, 400).proportion_ci(method="exact")
    assert found["words_exact"]["interval"] == pytest.approx([exact.low, 1.0]) and exact.low < 0.992
    assert "whole_paper_ssim" not in found and "OCR accuracy" in table.markdown({"target": found}, 400)


def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch):
    from text_layers.benchmarks.editing.paper.__main__ import main

    def run(*more):
        arguments = ["--model", "unet", "--signs", "word", "--ocr", "RapidOCR", "--rows", "2", "--out", str(tmp_path / "out"), *more]
        monkeypatch.setattr(sys, "argv", ["paper", *arguments])
        main()

    run("--count", "2", "--methods", "text_layers")
    path = tmp_path / "out" / "rows.jsonl"
    path.write_text(path.read_text() + '{"pair": 0, "meth')  # as an interruption leaves it
    run("--count", "2", "--methods", "text_layers", "target")
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["pair"], row["method"]) for row in found] == [(0, "text_layers"), (1, "text_layers"), (0, "target"), (1, "target")]
    assert "target prompt, same seed" in (tmp_path / "out" / "table.md").read_text()
    with pytest.raises(SystemExit, match="other prompts or settings"):
        run("--count", "2", "--seed", "43")
