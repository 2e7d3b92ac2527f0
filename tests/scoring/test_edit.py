"""An edit's measures, against rapidfuzz, scikit-image and what the renderer drew."""

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from text_layers.demo import signs
from text_layers.scoring.charts import edit_chart
from text_layers.scoring.compare import USUAL, Folding
from text_layers.scoring.edit import Masked, change, measure
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.any_comfyui


@pytest.fixture(scope="module")
def pictures():
    """The same sign with CAFE and with HOTEL, the second with another wall on the left edge."""
    source, edited = (signs.draw([signs.Sign(word, "white", "blue", "square")], np.random.default_rng(3))[0] for word in ("CAFE", "HOTEL"))
    changed = edited.copy()
    changed[:, :3] = 255 - changed[:, :3]
    return source, edited, changed


def test_an_edit_of_the_word_alone(pictures):
    source, edited, _ = pictures
    found = measure(source, edited, "Hotel", engine("EasyOCR"))
    assert found.read == {"source": "CAFE", "edited": "HOTEL"} and found.words["edited"]["exact"] == 1
    assert found.words["source"]["similarity"] == pytest.approx(Levenshtein.normalized_similarity("CAFE", "HOTEL"))
    assert found.background["edited"]["psnr"] == float("inf") and found.background["edited"]["mse"] == 0
    assert found.whole["edited"]["psnr"] == pytest.approx(peak_signal_noise_ratio(source, edited))
    assert found.whole["edited"]["ssim"] == pytest.approx(structural_similarity(source, edited, channel_axis=2))
    left, top, right, bottom = signs.text_box("HOTEL")
    assert any(abs(b[0] - left) <= 4 and abs(b[2] - right) <= 4 and b[1] >= top - 4 and b[3] <= bottom + 4 for b in found.boxes)
    assert 'edited: reads "HOTEL"' in found.report() and "background: the same" in found.report()


def test_where_the_background_changed(pictures):
    source, edited, changed = pictures
    found = measure(source, changed, "HOTEL", engine("EasyOCR"), target=edited)
    assert found.background["edited"]["psnr"] < found.background["target"]["psnr"] == float("inf")
    where = change(source, changed, found.boxes)
    assert (where[:, :3] > 0.1).all() and np.nanmax(where[:, 3:]) == 0
    for left, top, right, bottom in found.boxes:
        assert np.isnan(where[top:bottom, left:right]).all()
    chart = edit_chart([source, changed, edited], ["a", "b", "c"], where, found.boxes)
    assert chart.dtype == np.uint8 and chart.shape[2] == 3 and chart.std() > 10


def test_what_the_target_prompt_draws_is_no_background_either(pictures):
    """HOTEL is wider than CAFE: what of it stands beside the source's word is covered by its own boxes alone."""
    source, target, _ = pictures
    found = measure(source, source, "CAFE", engine("EasyOCR"), target=target)
    assert found.whole["target"]["mse"] > 0 == found.background["target"]["mse"]


def test_pictures_without_words():
    blank = np.full((40, 60, 3), 200, np.uint8)
    found = measure(blank, blank, "HOTEL", engine("EasyOCR"))
    assert found.read == {"source": "", "edited": ""} and not found.boxes and found.words["edited"]["f1"] == 0
    assert "No word was found" in found.report()


def test_too_small_for_structural_similarity():
    found = measure(*(np.zeros((4, 4, 3), np.uint8),) * 2, "HOTEL", engine("EasyOCR"))
    assert found.whole["edited"]["ssim"] is None and "SSIM not defined here" in found.report()


def test_errors(pictures):
    source, edited, _ = pictures
    with pytest.raises(ValueError, match="different sizes: 64 x 32 and 60 x 32"):
        measure(source, edited[:, :60], "HOTEL", engine("EasyOCR"))
    with pytest.raises(ValueError, match="is left to be compared"):
        measure(source, edited, "...", engine("EasyOCR"))
    with pytest.raises(ValueError, match="EasyOCR does not read О, which"):
        measure(source, edited, "HОTEL", engine("EasyOCR"), folding=Folding(case=False))


def test_a_changed_number_is_no_background():
    source, edited = (np.full((96, 256, 3), 240, np.uint8) for _ in range(2))
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 40)
    source, edited = (Image.fromarray(picture) for picture in (source, edited))
    for picture, text in ((source, "2024"), (edited, "2025")):
        ImageDraw.Draw(picture).text((128, 48), text, "black", font, "mm")
    found = measure(np.asarray(source), np.asarray(edited), "2025", engine("EasyOCR"))
    assert found.read == {"source": "2024", "edited": "2025"} and found.words["edited"]["exact"] == 1
    assert found.whole["edited"]["mse"] > 0 == found.background["edited"]["mse"]


def test_what_counts_as_the_wanted_text(pictures):
    source, edited, _ = pictures
    as_they_stand = Folding(False, False, False, False)
    assert measure(source, edited, "hotel", engine("EasyOCR"), folding=as_they_stand).words["edited"]["exact"] == 0
    found = measure(source, edited, "hotel!", engine("EasyOCR"))
    assert found.words["edited"]["exact"] == 1 and 'wanted is "hotel!", compared without case, punctuation and spaces' in found.report()


def two_signs(first, second):
    drawn = [signs.draw([signs.Sign(word, "white", "blue", "square")], np.random.default_rng(3))[0] for word in (first, second)]
    return np.concatenate(drawn)


@pytest.mark.parametrize(
    ("after", "as_before", "said"),
    [
        (("HOTEL", "OPEN"), 1, "1 of 1 read as before"),
        (("HOTEL", "SHUT"), 0, '"OPEN" reads "SHUT" now'),
        (("HOTEL", ""), 0, '"OPEN" is gone'),
    ],
)
def test_what_an_edit_did_inside_and_outside_of_its_mask(after, as_before, said):
    """Two signs below each other, of which the upper one was meant to be changed."""
    source, edited = two_signs("CAFE", "OPEN"), two_signs(after[0], after[1] or "OPEN")
    if not after[1]:
        edited[32:] = edited[33, 20]
    mask = np.zeros(source.shape[:2], np.float32)
    mask[:32] = 0.5
    found = measure(source, edited, "HOTEL", engine("RapidOCR"), mask=mask)
    assert found.masked.share == pytest.approx(0.5)
    assert found.masked.inside["psnr"] == pytest.approx(peak_signal_noise_ratio(source[:32], edited[:32]))
    same = np.array_equal(source[32:], edited[32:])
    expected = float("inf") if same else peak_signal_noise_ratio(source[32:], edited[32:])
    assert found.masked.outside["psnr"] == pytest.approx(expected) and same == (as_before == 1)
    assert said in found.report() and found.masked.others == (("OPEN", after[1]),)


@pytest.mark.parametrize(
    ("pair", "said"), [(("!?", ""), '"!?" is gone'), (("", "..."), '"..." is new'), (("!?", "!!"), "1 of 1 read as before")]
)
def test_marks_that_fold_to_nothing_are_gone_or_new_or_there(pair, said):
    numbers = dict.fromkeys(("psnr", "ssim", "paper_ssim", "mse"), 0.0)
    (told,) = (line.strip() for line in Masked(0.5, numbers, numbers, (pair,), ()).report(USUAL) if said in line)
    assert told == (said if "as before" not in said else f"Texts outside the mask: {said}.")
    (touched,) = (line for line in Masked(0.5, numbers, numbers, (), (pair,)).report(USUAL) if "touches" in line)
    assert ("as before" in touched) == all(pair)


@pytest.mark.parametrize("rows", range(33, 41))
@pytest.mark.parametrize("up", [2, -2])
def test_a_word_at_the_masks_edge_is_never_gone(rows, up):
    """It moves by two pixels, so that the mask covers less of it before than after, or the other way round, and reads the same."""
    source, edited = two_signs("CAFE", "OPEN"), two_signs("HOTEL", "OPEN")
    edited[32:] = np.roll(edited[32:], -up, 0)
    mask = np.zeros(source.shape[:2], np.float32)
    mask[:rows] = 1
    found = measure(source, edited, "HOTEL", engine("RapidOCR"), mask=mask)
    assert sorted(found.masked.others + found.masked.touched) == [("CAFE", "HOTEL"), ("OPEN", "OPEN")]
    if rows in (33, 40):  # none of its box, and a fifth
        assert ("OPEN", "OPEN") in (found.masked.others if rows == 33 else found.masked.touched)
    assert "is gone" not in found.report() and "is new" not in found.report()
    assert 'Texts that the mask touches: "CAFE" reads "HOTEL" now' in found.report()
    assert ('"OPEN" reads as before' in found.report()) == (("OPEN", "OPEN") in found.masked.touched)


def test_a_mask_of_other_pictures_is_refused():
    source = two_signs("CAFE", "OPEN")
    with pytest.raises(ValueError, match="The mask is 64 x 32 and the pictures 64 x 64 pixels"):
        measure(source, source, "CAFE", engine("RapidOCR"), mask=np.zeros((32, 64), np.float32))
    empty = measure(source, source, "CAFE", engine("RapidOCR"), mask=np.zeros((64, 64), np.float32))
    assert empty.masked.inside["psnr"] is None and "inside the mask: PSNR not defined here" in empty.report()
    assert [a for a, b in empty.masked.others if a == b] == ["CAFE", "OPEN"]
