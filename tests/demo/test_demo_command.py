"""`python dev.py demo`, as a person types it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from text_layers.demo import edit
from text_layers.patching import models

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[2]


def demo(*arguments, cwd):
    return subprocess.run([sys.executable, str(ROOT / "dev.py"), "demo", *arguments], cwd=cwd, capture_output=True, text=True)


def test_both_models_draw_read_and_report(tmp_path):
    done = demo("--source", "cafe", "--target", "hotel", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3  # one line a model, and where to look
    assert str(Path("demo-output") / "sheet.png") in done.stdout
    assert "drawing" in done.stderr
    out = tmp_path / "demo-output"
    report = json.loads((out / "report.json").read_text())
    assert set(report) == {"models"} and set(report["models"]) == {"unet", "mmdit"}
    for name, model in report["models"].items():
        assert set(model) == {"layers", "pairs", "seconds"} and model["layers"]
        (pair,) = model["pairs"]
        keys = {
            "source",
            "target",
            "read_source",
            "read_target",
            "read_edit",
            "exact",
            "exact_folded",
            "colours_kept",
            "psnr_edit",
            "psnr_edit_without_keep",
            "psnr_target",
        }
        assert set(pair) == keys and (pair["source"], pair["target"]) == ("CAFE", "HOTEL")
        assert pair["colours_kept"] is True
        assert pair["psnr_edit"] is None or pair["psnr_edit"] > pair["psnr_target"] + 10
        for kind in ("source", "target", "edit"):
            assert Image.open(out / f"{name}-001-CAFE-HOTEL-{kind}.png").size == (256, 128)
    assert Image.open(out / "sheet.png").width > 3 * 256
    moving = Image.open(out / "animation.gif")
    assert moving.n_frames > 10 and moving.width > 2 * 256  # both models' edits beside each other
    shown = [moving.seek(n) or np.asarray(moving.convert("RGB"), float)[40:160] for n in range(moving.n_frames)]
    source, edit = (np.asarray(Image.open(out / f"unet-001-CAFE-HOTEL-{kind}.png"), float)[10:120] for kind in ("source", "edit"))
    nearest = [min(np.abs(frame[:110, 8:264] - picture).mean() for frame in shown) for picture in (source, edit)]
    assert max(nearest) < 4 < np.abs(source - edit).mean()  # 256 colours are a few levels off


def test_word_only_pairs_from_a_file_with_one_model(tmp_path, monkeypatch):
    (tmp_path / "pairs.csv").write_text("source,target\nOPEN,SHUT\n\nleft, right\n")
    monkeypatch.chdir(tmp_path)
    given = ["--pairs", "pairs.csv", "--model", "mmdit", "--word-only", "--seed", "5", "--out", "mine"]
    monkeypatch.setattr(sys, "argv", ["demo", *given])
    edit.main()
    report = json.loads((tmp_path / "mine" / "report.json").read_text())
    assert [(p["source"], p["target"]) for p in report["models"]["mmdit"]["pairs"]] == [("OPEN", "SHUT"), ("LEFT", "RIGHT")]
    assert list(report["models"]) == ["mmdit"]


def test_word_only_keeps_the_colours_of_the_prompt():
    a, b = edit.sign_pair("OPEN", "SHUT", 1, word_only=True)
    assert (a.sign, a.wall, a.shape) == (b.sign, b.wall, b.shape) and a.word != b.word
    a, b = edit.sign_pair("OPEN", "SHUT", 1)
    assert not {a.sign, a.wall} & {b.sign, b.wall}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "CAFE"], "give --source and --target together"),
        (["--source", "CAFE", "--target", "RESTAURANT"], 'words of 3 to 6 letters A-Z, not "RESTAURANT"'),
        (["--source", "CAFÉ", "--target", "HOTEL"], 'not "CAFÉ"'),
        (["--pairs", "nowhere.csv"], "nowhere.csv"),
        (["--model", "sdxl"], "invalid choice"),
    ],
)
def test_wrong_input_is_one_clear_line(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo", *arguments])
    with pytest.raises(SystemExit) as stopped:
        edit.main()
    assert message in capsys.readouterr().err + str(stopped.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "message"), [("CAFE\n", "line 1"), ("CAFE,HOTEL\nA,B,C\n", "line 2"), ("", "no word pairs")])
def test_a_bad_file_of_pairs_says_which_line(text, message, tmp_path):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(SystemExit, match=message):
        edit.read_pairs(tmp_path / "pairs.csv")


def test_the_demo_models_have_enough_text_layers():
    from text_layers.demo import comfy_model

    for name in comfy_model.MODELS:
        assert len(models.layer_names(comfy_model.load(name)[0])) >= 8
