"""Inputs, also broken ones."""

import numpy as np
import pytest
import torch
from text_layers.nodes.inputs import entries, read_images

pytestmark = pytest.mark.any_comfyui


def test_pictures_of_any_number_of_channels():
    picture = torch.rand(2, 5, 7, 3)
    expected = (picture * 255).round().numpy().astype(np.uint8)
    assert np.array_equal(read_images("image", picture), expected[:, None])
    assert read_images("image", torch.cat([picture, torch.rand(2, 5, 7, 1)], -1)).shape == (2, 2, 5, 7, 3)
    grey = read_images("image", picture[..., :1])
    assert grey.shape == (2, 1, 5, 7, 3) and all(np.array_equal(grey[:, 0, ..., channel], expected[..., 0]) for channel in range(3))
    assert read_images("image", torch.full((1, 1, 1, 3), 3.0)).tolist() == [[[[[255, 255, 255]]]]], "what is too light is white"


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_refused(broken):
    picture = torch.zeros(1, 4, 4, 3)
    picture[0, 1, 2, 0] = broken
    with pytest.raises(ValueError, match=r"^edited has values that are no numbers"):
        read_images("edited", picture)


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 0, 8, 3), (1, 8, 8, 0)])
def test_an_empty_batch_is_refused(shape):
    with pytest.raises(ValueError, match=r"^image holds no picture"):
        read_images("image", torch.zeros(shape))


def test_lists_that_a_user_writes():
    assert entries("beer, free wine\n\n rum ,") == ("beer", "free wine", "rum")
    assert entries('"HOTEL\nCAFE, BAR') == ('"HOTEL', "CAFE", "BAR")  # an open quote takes no other line with it
    assert entries('"Closed, sorry", 24" screen\n"open"') == ("Closed, sorry", '24" screen', "open")
