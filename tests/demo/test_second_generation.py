"""The second generation's pictures, prompts, codec and training. What its models draw is not tested yet: they are in training."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from text_layers.demo.second_generation import (
    boards,
    check,
    codec,
    comfy_model,
    distill_text,
    draw_ahead,
    eight_bits,
    encode_ahead,
    models,
    prompts,
    texts,
    train,
    train_codec,
)
from text_layers.patching.models import layer_names
from text_layers.scoring.compare import USUAL

pytestmark = pytest.mark.any_comfyui

BLUE = boards.Board("Open", "blue", "wooden", "oval", "white", "brick")


def board(text, kind="wooden"):
    return boards.Board(text, "blue", kind, "square", "white", "plaster")


def test_what_the_prompt_leaves_open_is_the_seeds():
    once, again, other = (boards.draw([BLUE], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert once.shape == (1, 128, 256, 3)
    assert np.array_equal(once, again)
    assert np.abs(once.astype(int) - other)[:, :20].mean() > 5  # the wall, which the prompt describes alike


def test_its_pictures_can_be_read():
    """Of every kind, on every material: what is learned from them is no puzzle."""
    rng = np.random.default_rng(3)
    shown = [boards.random_board(rng, word, (kind,)) for kind in boards.KINDS for word in ("Coffee", "ROUTE 66")]
    readings = check.read(boards.draw(shown, rng))
    wanted = [board.text for board in shown]
    right = [USUAL.folded(a) == USUAL.folded(b) for a, b in zip(readings, wanted, strict=True)]
    assert sum(right) >= 8, list(zip(wanted, readings, strict=True))


@pytest.mark.parametrize("text", ("Wyg|j", "Open\nDaily", "0123456789", ""))
def test_the_cells_of_a_text_hold_all_of_its_ink(text):
    text = text.replace("|", "Q")
    with_text, without = (boards.draw([board(t)], np.random.default_rng(4))[0].astype(int) for t in (text, "\n" if "\n" in text else ""))
    changed = np.abs(with_text - without).max(-1).reshape(16, 8, 32, 8).max((1, 3)) > 0
    cells = boards.text_cells(text)
    assert not (changed & ~cells).any()
    assert changed.any() == (text != "")


def test_drawing_ahead_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(draw_ahead, "CHUNK", 2)
    file = tmp_path / "pictures.npy"
    draw_ahead.draw_ahead("all", 3, file, freedom="much", seed=1)
    shown, drawn = draw_ahead.load(file)
    once = np.array(drawn)
    file.with_suffix(".json").write_text(json.dumps([vars(board) for board in shown[:2]]))
    np.lib.format.open_memmap(file, "r+")[2] = 0
    draw_ahead.draw_ahead("all", 3, file, freedom="much", seed=1)
    again, drawn = draw_ahead.load(file)
    assert again == shown
    assert np.array_equal(drawn, once)


def test_held_out_words_are_never_drawn():
    rng = np.random.default_rng(5)
    drawn = {line.upper() for _ in range(4000) for line in texts.random_text(rng, texts.STAGES["all"]).split("\n")}
    assert not drawn & set(texts.held_out())


def test_prompts_are_ordinary_english():
    read = prompts.read_prompt("On a white brick wall, photographed at dusk, hangs a blue wooden sign reading “Open / Daily 9-5”.")
    assert read.words == ("white", "brick", "wall", "blue", "wooden", "sign")
    assert read.text == "Open\nDaily 9-5"
    assert read.unknown == ("photographed", "at", "dusk", "hangs")
    assert prompts.read_prompt(BLUE.prompt()) == prompts.Prompt(("blue", "wooden", "oval", "sign", "white", "brick", "wall"), "Open", ())


def test_a_prompt_tells_places_case_and_empty_boards_apart():
    said = ["Open", "open", "Open!", "O pen", "Open\nopen", "", None]
    for text_side in models.TEXT.values():
        tokens = {tuple(text_side.tokenize(boards.Board(text, "blue", None, None, None, None).prompt())) for text in said}
        assert len(tokens) == len(said)
        assert {len(ids) for ids in tokens} == {text_side.LENGTH}


@pytest.mark.parametrize("text_side", models.TEXT.values())
def test_the_longest_prompt_fits(text_side):
    longest = boards.Board("ABCDEFGHIJ\nKLMNOPQRST", "blue", "wooden", "oval", "white", "brick")
    for form in boards.FORMS:
        read = prompts.read_prompt(longest.prompt(form))
        assert (read.text, len(read.words)) == (longest.text, 7)
        ids = text_side.tokenize(longest.prompt(form))
        assert len(ids) == text_side.LENGTH and text_side.tokenize("")[1] in ids  # its end is there


@pytest.mark.parametrize("text_side", models.TEXT.values())
def test_a_long_prompt_keeps_its_drawn_text(text_side):
    long = "a red sign on a white wall " * 9 + 'that says "Tea / Room" and a wall'
    ids = text_side.tokenize(long)
    assert len(ids) == text_side.LENGTH
    assert sum(map(text_side.is_drawn, ids)) == 7


@pytest.mark.parametrize("text", ("Supermarkets", "a/b/c", "café"))
def test_a_text_that_does_not_fit_is_refused(text):
    with pytest.raises(ValueError, match="demo models"):
        prompts.read_prompt(f'a sign that says "{text}"')


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with a codec and models of random weights, and four encoded pictures."""
    folder = tmp_path_factory.mktemp("second")
    torch.manual_seed(0)
    untrained = codec.build()
    codec.initialize(untrained)
    statistics = {"latents.mean": torch.linspace(-1, 1, 16), "latents.deviation": torch.linspace(0.5, 2, 16)}
    save_file({**untrained.state_dict(), **statistics}, folder / "codec.safetensors")
    rng = np.random.default_rng(6)
    drawn = [boards.random_board(rng, text) for text in ("Open", "Shut", "Tea\nRoom", "")]
    encode_ahead.write(drawn, boards.draw(drawn, rng), folder / "codec.safetensors", folder / "latents.npz")
    for name in ("unet", "mmdit"):
        model = models.TextToImage(name)
        for p in model.parameters():  # no branch is zero
            p.data += 0.02 * torch.randn_like(p)
        save_file({**model.state_dict(), **statistics}, folder / f"{name}.safetensors")
    return folder


@pytest.mark.parametrize("name, layers", (("mmdit", 7), ("unet", 9)))
def test_comfyui_draws_what_the_training_samples(files, name, layers):
    """KSampler, model, text and latents through ComfyUI against Euler on the module that was trained."""
    shown = [BLUE, board("Shut")]
    by_comfyui = check.pictures(name, files / f"{name}.safetensors", files / "codec.safetensors", shown, seed=7)
    model = models.TextToImage(name)
    weights = load_file(files / f"{name}.safetensors")
    model.load_state_dict({key: value for key, value in weights.items() if key not in train.STATISTICS})
    noise = torch.randn(2, 16, 16, 32, generator=torch.manual_seed(7))
    unit = models.sample(model, torch.tensor([model.text_model.tokenize(b.prompt()) for b in shown]), noise)
    decoder, mean, deviation = codec.load(files / "codec.safetensors")
    latents = unit * deviation[:, None, None] + mean[:, None, None]
    by_training = codec.to_pixels(decoder.decode(latents)).numpy()
    assert by_comfyui.std() > 5
    # The schedules are the same to float32, and two of 255 levels are what twelve steps make of that.
    assert np.abs(by_comfyui.astype(int) - by_training).max() <= 2
    found, _clip, _vae = comfy_model.load(name, files / f"{name}.safetensors", files / "codec.safetensors")
    assert len(layer_names(found)) == layers


def test_training_goes_on_as_if_it_had_not_stopped(files, tmp_path):
    settings = {"batch": 2, "lr": 1e-3, "decay": 0, "text_weight": 4, "seed": 1, "save_every": 60, "compile_model": False, "weights": None}
    for folder, stops in (("once", (4,)), ("twice", (2, 4))):
        for steps in stops:
            train.train("mmdit", [files / "latents.npz"], files / "codec.safetensors", tmp_path / folder, steps, **settings)
    once, twice = (load_file(tmp_path / folder / "mmdit.safetensors") for folder in ("once", "twice"))
    assert all(torch.equal(once[key], twice[key]) for key in once)
    assert json.loads((tmp_path / "twice" / "log.json").read_text())[-1]["step"] == 4


@pytest.mark.parametrize("form", boards.FORMS)
def test_each_token_is_taught_by_its_own(form):
    """The same words and characters on both sides, whatever the order of the prompt."""
    shown = boards.Board("Tea\nR oom", "blue", "wooden", "oval", "white", "brick")
    slotted, ordered = prompts.SlotText.tokenize(shown.prompt()), prompts.OrderedText.tokenize(shown.prompt(form))
    found = distill_text.alike(slotted, ordered, form)
    assert len(found) == 1 + 7 + 7  # the start, words, characters
    words = [(slotted[a], ordered[b]) for a, b, _ in found if slotted[a] < prompts.CHARACTER]
    assert all(a == b for a, b in words) and len(words) == 8
    written = [b for a, b, _ in found if slotted[a] >= prompts.CHARACTER]
    assert written == sorted(written) and len({a for a, _, _ in found}) == len({b for _, b, _ in found}) == len(found)


@pytest.mark.long
def test_the_codec_learns_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(train_codec, "HELD_OUT", 12)  # a sheet of three rows
    pictures = boards.draw([board(str(n)) for n in range(16)], np.random.default_rng(8))
    settings = {"batch": 2, "size": 32, "lr": 3e-3, "seed": 0, "save_every": 60}
    train_codec.train(pictures, tmp_path, 2, **settings)
    train_codec.train(pictures, tmp_path, 12, **settings)
    log = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["log"]
    assert [entry["step"] for entry in log] == [2, 12]
    assert log[1]["loss"] < log[0]["loss"]


def test_weights_in_8_bits_are_nearly_the_same():
    """Of each output channel its largest weight is 127 steps: no weight is off by more than half a step."""
    random = torch.Generator().manual_seed(0)
    weights = {"a.weight": torch.randn(64, 32, 3, 3, generator=random) * torch.logspace(-3, 3, 64)[:, None, None, None],
               "b.bias": torch.randn(64, generator=random).half(), "c.weight": torch.zeros(80, 60), "d.weight": torch.eye(8)}  # fmt: skip
    small = eight_bits.packed(weights)
    back = eight_bits.unpacked(small)
    assert small["a.weight"].dtype == torch.int8 and back.keys() == weights.keys()
    half_a_step = weights["a.weight"].flatten(1).abs().amax(1) / 254
    assert ((back["a.weight"] - weights["a.weight"]).flatten(1).abs().amax(1) <= half_a_step * (1 + 1e-4)).all()
    assert all(torch.equal(back[name].float(), weights[name].float()) for name in ("b.bias", "c.weight", "d.weight"))
    assert eight_bits.unpacked(weights) == weights
