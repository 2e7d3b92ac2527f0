"""Text metrics against RapidFuzz and against definitions worked by hand."""

import random

import pytest
from rapidfuzz.distance import Hamming, LCSseq, Levenshtein
from text_layers.scoring import text

pytestmark = pytest.mark.any_comfyui


def random_texts(count):
    rng = random.Random(1)
    return [tuple("".join(rng.choices("ABCDE", k=rng.randint(0, 8))) for _ in "ab") for _ in range(count)]


@pytest.mark.parametrize("read, wanted", random_texts(200))
def test_distance_and_similarity_are_rapidfuzz_s(read, wanted):
    assert text.distance(read, wanted) == Levenshtein.distance(read, wanted)
    assert text.similarity(read, wanted) == pytest.approx(Levenshtein.normalized_similarity(read, wanted))


@pytest.mark.parametrize("read, wanted", random_texts(200))
def test_the_papers_measures_are_rapidfuzz_s_of_sorted_letters(read, wanted):
    """The longest common subsequence of sorted letters is what two multisets share; equal places of them are Hamming's."""
    a, b = sorted(read), sorted(wanted)
    shared = LCSseq.similarity(a, b)
    assert text.precision(read, wanted) == pytest.approx(shared / len(a) if a else float(not b))
    assert text.recall(read, wanted) == pytest.approx(shared / len(b) if b else 1)
    assert text.f1(read, wanted) == pytest.approx(2 * shared / (len(a) + len(b)) if a and b else float(not b and not a))
    assert text.agreement(read, wanted) == pytest.approx(Hamming.normalized_similarity(a, b, pad=True))
    assert text.paper_accuracy(read, wanted) == (LCSseq.distance(a, b) == 0)


@pytest.mark.parametrize(
    "read, wanted, precision, recall, f1, agreement",
    [
        ("HOTEL", "HOTEL", 1, 1, 1, 1),
        ("LISTEN", "SILENT", 1, 1, 1, 1),  # the paper's measures do not see the order
        ("HOTELL", "HOTEL", 5 / 6, 1, 10 / 11, 3 / 6),  # sorted: EHLLOT and EHLOT agree in three places
        ("CAFE", "HOTEL", 1 / 4, 1 / 5, 2 / 9, 0),
        ("", "HOTEL", 0, 0, 0, 0),
        ("HOTEL", "", 0, 1, 0, 0),
        ("", "", 1, 1, 1, 1),
    ],
)
def test_the_papers_measures_by_hand(read, wanted, precision, recall, f1, agreement):
    found = [measure(read, wanted) for measure in (text.precision, text.recall, text.f1, text.agreement)]
    assert found == pytest.approx([precision, recall, f1, agreement])
    assert text.paper_accuracy(read, wanted) == (agreement == 1)


def test_exact_and_similarity_see_the_order():
    assert not text.exact("LISTEN", "SILENT") and text.similarity("LISTEN", "SILENT") < 0.5
