"""Nothing that a training has learned is lost, and it goes on as if it had not stopped."""

import os
import subprocess
from dataclasses import replace

import comfy.model_management
import pytest
import torch
from text_layers.lora.files import LoraFile
from text_layers.lora.files import read as read_lora
from text_layers.lora.keeping import Keeper
from text_layers.lora.state import read
from text_layers.lora.train import Settings, train
from text_layers.lora.validation import of_words
from text_layers.patching import models
from text_layers.scoring.charts import loss_chart
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

TINY = {tiny.kind: tiny for tiny in MODELS}
SETTINGS = Settings(steps=6, batch=1, learning_rate=1e-2, seed=5, schedule="cosine", warmup=2, accumulation=2, caption_dropout=0.3)


class Lost(Exception):
    """What ends a process at once."""


@pytest.fixture(scope="module")
def sd3():
    return TINY["SD3"].build()


def run(model, settings=SETTINGS, start=None, keep=None, at=None, what=Lost, seed=1):
    tiny = TINY["SD3"]
    latents = list(torch.randn(3, *tiny.latent, generator=torch.Generator().manual_seed(seed)))
    prompts = [tiny.conditioning(n) for n in range(3)]

    def tell(losses, draw):
        if len(losses) == at:
            if what is comfy.model_management.InterruptProcessingException:
                comfy.model_management.interrupt_current_processing()
            else:
                raise what

    return train(model, latents, prompts, models.written(model, "1"), settings, start, tell, keep, empty=tiny.conditioning(9))


def same(a, b):
    return a.keys() == b.keys() and all(a[key].equal(w) for key, w in b.items())


def keeper(folder, said, every=2, elsewhere=()):
    return Keeper(folder / "mine.training", (folder, "mine-interrupted"), elsewhere, every, said.append)


@pytest.fixture(scope="module")
def continuous(sd3):
    return run(sd3)


@pytest.mark.parametrize("at", [1, 4, 6])
def test_it_goes_on_as_if_it_had_not_stopped(sd3, continuous, tmp_path, at):
    """After an interruption, and, from what was saved last, after an end without one: to the last bit."""
    said = []
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(sd3, keep=keeper(tmp_path, said), at=at, what=comfy.model_management.InterruptProcessingException)
    state = read(tmp_path / "mine.training")
    assert state.step == at and str(tmp_path / "mine.training") in said[-1]
    again = run(sd3, start=state)
    assert same(again.tensors, continuous.tensors) and again.losses == continuous.losses
    assert again.notes == [f"It went on from step {at}."]
    # What was learned so far is a LoRA, too.
    assert read_lora(tmp_path / "mine-interrupted.safetensors").metadata["ss_steps"] == str(at)


def test_the_8_bit_optimizer_goes_on(sd3, tmp_path):
    """Matrices of 4,096 numbers and more have moments of 8 bits."""
    settings = replace(SETTINGS, rank=64, optimizer="AdamW 8-bit")
    continuous, plain = run(sd3, settings), run(sd3, replace(settings, optimizer="AdamW"))
    with pytest.raises(Lost):
        run(sd3, settings, keep=keeper(tmp_path, []), at=4)
    state = read(tmp_path / "mine.training")
    assert state.step == 4 and {moments["state1"].dtype for moments in state.optimizer.values()} >= {torch.uint8}
    assert same(run(sd3, settings, state).tensors, continuous.tensors)
    # It learns what the other one learns, nearly: a moment in 8 bits is off by up to a hundredth of a block's largest.
    assert continuous.losses != plain.losses and torch.allclose(torch.tensor(continuous.losses), torch.tensor(plain.losses), rtol=0.05)


def test_what_was_saved_last_goes_on(sd3, continuous, tmp_path, monkeypatch):
    """As after SIGKILL: nothing can be said or done any more, and what is there is not older than the steps between two saves."""
    keep = keeper(tmp_path, [], every=3)
    monkeypatch.setattr(Keeper, "cut_short", lambda *_: None)
    with pytest.raises(Lost):
        run(sd3, keep=keep, at=5)
    state = read(tmp_path / "mine.training")
    assert state.step == 3 and same(run(sd3, start=state).tensors, continuous.tensors)


def test_what_changed_is_said(sd3, tmp_path):
    with pytest.raises(Lost):
        run(sd3, keep=keeper(tmp_path, []), at=4)
    state = read(tmp_path / "mine.training")
    (note,) = run(sd3, replace(SETTINGS, learning_rate=1e-3, checkpointing=True), state, seed=2).notes
    assert note == "It went on from step 4, changed: learning_rate 0.01 -> 0.001, other pictures or prompts."
    for changed, message in (({"rank": 2}, "of another rank"), ({"steps": 3}, "has done 4 steps, and steps is 3")):
        with pytest.raises(ValueError, match=message):
            run(sd3, replace(SETTINGS, **changed), state)


def test_a_lora_is_trained_on_other_noise_than_before(sd3):
    """A LoRA alone has no optimizer to go on with, and its steps are known: they are not seen again."""
    first = run(sd3, replace(SETTINGS, steps=2, learning_rate=0.0))
    more = run(sd3, replace(SETTINGS, steps=2, learning_rate=0.0), LoraFile("", first.tensors, first.tensors.metadata))
    both = run(sd3, replace(SETTINGS, steps=4, learning_rate=0.0))
    assert first.losses + more.losses == both.losses and more.tensors.metadata["ss_steps"] == "4"


def test_each_picture_comes_once_before_any_comes_again(sd3):
    from text_layers.lora.examples import drawn

    pictures = [torch.full((1, 1), float(n)) for n in range(5)]
    for batch in (1, 2, 7):
        settings = Settings(batch=batch, seed=3)
        seen = [int(e.latent) for step in range(35) for e in drawn(sd3, pictures, [None] * 5, settings, step)]
        epochs = [tuple(seen[n : n + 5]) for n in range(0, len(seen), 5)]
        assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs) and len(set(epochs)) > 3


def test_damaged_trainings_are_refused(sd3, tmp_path):
    with pytest.raises(Lost):
        run(sd3, keep=keeper(tmp_path, []), at=2)
    whole = (tmp_path / "mine.training").read_bytes()
    lora = (tmp_path / "mine-interrupted.safetensors").read_bytes()
    for data in (b"", b"nothing", whole[:-9], whole[:200], lora, b"\xff" * 99):
        (tmp_path / "other.training").write_bytes(data)
        with pytest.raises(ValueError, match=r"other.training is no training to go on with"):
            read(tmp_path / "other.training")


@pytest.fixture
def small_disk(tmp_path):
    """A folder that takes 200 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.name == "nt" or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up(sd3, small_disk, tmp_path):
    """What was saved stays whole, the training goes on, and the rest is saved elsewhere, which is said."""
    said, other = [], tmp_path / "other"
    keep = keeper(small_disk, said, elsewhere=[other])

    def fill(losses, draw):
        if len(losses) == 4:
            (small_disk / "others").write_bytes(bytes(200_000 - sum(f.stat().st_blocks * 512 for f in small_disk.iterdir()) - 8192))

    model, tiny = sd3, TINY["SD3"]
    latents = [torch.zeros(tiny.latent)]
    settings = Settings(steps=6, rank=4)
    trained = train(model, latents, [tiny.conditioning(0)], models.written(model, "1"), settings, tell=fill, keep=keep)
    assert read(small_disk / "mine.training").step == 2 and not list(small_disk.glob(".*"))
    assert read(other / "mine.training").step == 6 and str(other / "mine.training") in said[0] and "no space left" in said[0]
    path = keep.finish(trained.tensors, small_disk / "mine.safetensors")
    assert path == other / "mine.safetensors" and str(path) in said[-1] and same(dict(read_lora(path).tensors), dict(trained.tensors))


@pytest.mark.parametrize("broken", ["a file in its place", "a link to a file", "read-only"])
def test_another_place_is_taken_and_named(sd3, tmp_path, request, broken):
    folder, said = tmp_path / "loras", []
    if broken == "read-only":
        folder = request.getfixturevalue("small_disk")
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    else:
        (tmp_path / "file").write_text("")
        folder.symlink_to(tmp_path / "file") if "link" in broken else folder.write_text("")
    with pytest.raises(Lost):
        run(sd3, keep=keeper(folder, said, elsewhere=[tmp_path / "other"]), at=3)
    assert read(tmp_path / "other" / "mine.training").step == 3 and read_lora(tmp_path / "other" / "mine-interrupted.safetensors")
    assert str(folder) in said[0] and str(tmp_path / "other" / "mine.training") in said[0]
    assert "mine-interrupted.safetensors" in said[-1]


def test_what_cannot_be_saved_anywhere_does_not_begin(sd3, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    steps = []
    with pytest.raises(ValueError, match=r"the training does not begin: .*file"):
        run(sd3, keep=Keeper(tmp_path / "file" / "mine.training", (tmp_path / "file", "mine")), at=1, what=steps.append)


def test_a_link_in_place_of_the_folder_is_followed(tmp_path, monkeypatch):
    """output/loras that its owner keeps on another disk."""
    import folder_paths
    from text_layers.lora import storage
    from text_layers.lora.metadata import LoraTensors

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    (tmp_path / "output").mkdir()
    (tmp_path / "nas").mkdir()
    (tmp_path / "output" / "loras").symlink_to(tmp_path / "nas")
    lora = LoraTensors({"lora_unet_x.lora_up.weight": torch.ones(1, 1)}, {})
    paths = [storage.save(lora, "loras/mine") for _ in range(2)]
    assert [path.name for path in paths] == ["mine_00001_.safetensors", "mine_00002_.safetensors"]
    assert all((tmp_path / "nas" / path.name).is_file() for path in paths)
    (tmp_path / "output" / "loras").unlink()
    (tmp_path / "output" / "loras").write_text("a file in its place")
    with pytest.raises(ValueError, match=r"cannot be written to loras.*queue again"):
        storage.save(lora, "loras/mine")


def test_a_loss_that_is_no_number_leaves_the_last_good_weights(sd3, continuous, tmp_path):
    """Weights that nobody computed a loss with yet are not trusted: those of the step before are kept."""
    spoilt, tiny = [], TINY["SD3"]
    handle = sd3.model.diffusion_model.register_forward_hook(lambda module, args, out: out * float("nan") if spoilt else None)
    latents = list(torch.randn(3, *tiny.latent, generator=torch.Generator().manual_seed(1)))
    what = (sd3, latents, [tiny.conditioning(n) for n in range(3)], models.written(sd3, "1"), SETTINGS)
    try:
        with pytest.raises(ValueError, match="no number in step 4: lower the learning rate"):
            train(
                *what,
                tell=lambda losses, draw: spoilt.extend(losses[2:]),
                keep=keeper(tmp_path, [], every=100),
                empty=tiny.conditioning(9),
            )
    finally:
        handle.remove()
    state = read(tmp_path / "mine.training")
    assert state.step == 2 and all(w.isfinite().all() for w in state.weights.values())
    assert same(run(sd3, start=state).tensors, continuous.tensors)


@pytest.fixture(scope="module")
def demo():
    from text_layers.demo import comfy_model, pictures
    from text_layers.demo.text_set import text_set

    model, clip, vae = comfy_model.load("unet")
    drawn, captions = text_set(["CAFE", "BOX"], 2, 1)
    with torch.no_grad():
        return model, clip, vae, list(vae.encode(torch.from_numpy(drawn).float() / 255)), [pictures.encode(clip, [c]) for c in captions]


def test_the_lora_that_is_read_best_comes_out(demo, tmp_path):
    """The training ends after a reading that is not better, and where it is cut short before, it goes on to the same end."""
    model, clip, vae, latents, prompts = demo

    settings = Settings(steps=9, learning_rate=0.3)

    def trained(start=None, keep=None, tell=None):
        validation = of_words(["HOTEL"], 'a sign that says "WORD"', clip, vae, "RapidOCR", 1, 3.0, 1, 0)
        what = (model, latents, prompts, models.preset(model), settings, start)
        return train(*what, tell=tell, keep=keep, validation=validation), validation

    def lose(losses, draw):
        if len(losses) == 1:
            raise Lost

    whole, validation = trained()
    best = validation.best()
    assert len(whole.losses) == len(validation.readings) < 9 and validation.readings[-1].score <= best.score
    assert best.step == len(whole.losses) - 1 and whole.notes[-1].startswith(f"Read best at step {best.step}: {best.exact} of 1 words")
    assert whole.tensors.metadata["ss_steps"] == str(best.step)
    alone = train(model, latents, prompts, models.preset(model), replace(settings, steps=best.step))
    assert same(alone.tensors, whole.tensors)
    with pytest.raises(Lost):
        trained(keep=keeper(tmp_path, [], every=1), tell=lose)
    again, other = trained(read(tmp_path / "mine.training"))
    assert same(again.tensors, whole.tensors) and other.readings == validation.readings
    assert loss_chart(whole.losses, 9, validation.picture, validation.marks()).shape == (512, 512, 3)


def test_divergence_of_a_model_that_draws(demo):
    """Such a rate ends with a loss that is a number."""
    model, _, _, latents, prompts = demo
    trained = train(model, latents, prompts, models.preset(model), Settings(steps=3, learning_rate=10.0))
    assert trained.losses[-1] < float("inf") and trained.notes[0].startswith("It diverged: on the first pictures the loss is")
