"""Final latents against those of the paper's own code, through our nodes and ComfyUI's KSampler."""

from pathlib import Path

import pytest
from text_layers.benchmarks.families import oracle
from text_layers.testing import oracle_fixture

ORACLE = Path(__file__).parents[1] / "oracle"


@pytest.fixture(scope="module")
def results():
    return oracle.run_folder(ORACLE)


def test_every_scenario_is_within_the_references_tolerance(results):
    assert {r["family"] for r in results} == {"sdxl", "sd3", "if"}
    assert len(results) == sum(len(oracle_fixture.scenarios(ORACLE / f)) for f in ("sdxl", "sd3", "if"))
    assert [r for r in results if not r["ok"]] == []
