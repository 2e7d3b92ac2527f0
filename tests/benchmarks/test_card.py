"""The script for a card, as it runs where there is none."""

import json
import sys

import pytest
import torch
from text_layers.benchmarks.card import __main__ as card
from text_layers.benchmarks.card.cases import Case, on_card, on_cpu
from text_layers.benchmarks.card.measure import measure
from text_layers.benchmarks.card.models import build
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS


@pytest.mark.long
@pytest.mark.any_comfyui
def test_without_a_card_it_says_so_and_takes_the_cpu(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["card", "--only", "SD3, bfloat16", "--seconds", "400", "--out", str(tmp_path / "card.json")])
    card.main()
    assert "There is no card here" in capsys.readouterr().out
    result = json.loads((tmp_path / "card.json").read_text())
    assert result["card"] is None
    ((name, case),) = result["cases"].items()
    assert name == "tiny SD3, bfloat16, normal" and case["finite"]
    for method in (OWN_RUN, SAME_LATENTS):
        assert case[method]["identity_off_by"] == 0 and case[method]["edit_changes"] > 1e-3
        assert case[method]["seconds_of_plain"]["of_fastest"] > 0


@pytest.mark.any_comfyui
@torch.inference_mode()
def test_memory_and_what_is_kept():
    found = measure(build(Case("tiny SD3", "float32")), 1, True)
    # 3 layers, 3 calls of 2 rows, keys and values of 10 tokens with 128 channels in 4 bytes.
    wanted = 3 * 3 * 2 * 2 * 10 * 128 * 4
    assert set(found[OWN_RUN]["kept_bytes_all_layers"]) == {"cpu"}
    assert found[OWN_RUN]["kept_bytes_all_layers"]["cpu"] >= wanted
    assert found[SAME_LATENTS]["kept_bytes_all_layers"].get("cpu", 0) < wanted
    assert all(row > found["peak_bytes"] / 2 > 0 for row in (found[m]["peak_bytes_all_layers"] for m in (OWN_RUN, SAME_LATENTS)))


@pytest.mark.any_comfyui
def test_a_process_that_ends_takes_one_case_with_it(monkeypatch):
    cases, begun = [Case("a", "float32"), Case("b", "float32"), Case("c", "float32")], []

    def process(order):
        names = [f"{case['model']}, float32, normal" for case in order["cases"]]
        begun.append(names)
        with open(order["lines"], "a") as lines:
            for name in names:
                print(json.dumps({"case": name, "begun": True}), file=lines)
                if name.startswith("b"):
                    return "the process ended with -9"
                print(json.dumps({"case": name, "finite": True}), file=lines)

    monkeypatch.setattr(card, "_process", process)
    found = card.run(cases, until=0, rounds=1)
    assert [len(names) for names in begun] == [3, 1]
    assert found["b, float32, normal"] == {"failed": "the process ended with -9"}
    assert found["a, float32, normal"] == found["c, float32, normal"] == {"finite": True}


@pytest.mark.any_comfyui
def test_no_case_is_tried_twice():
    for cases in (on_card(), on_cpu()):
        assert len({case.name for case in cases}) == len(cases)
