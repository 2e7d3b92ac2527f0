"""An edited picture put into its source by their latents."""

import pytest
import torch
from text_layers.editing.composite import composite, mask
from text_layers.nodes.editing import CompositeEdit

pytestmark = pytest.mark.any_comfyui


def latents(changed=slice(2, 5), frames=None):
    shape = (2, 4, 8, 16) if frames is None else (2, 4, frames, 8, 16)
    source = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    edited = source.clone()
    edited[:, 1, ..., 3:6, changed] += 1e-6  # the smallest difference in one channel counts
    return source, edited


@pytest.mark.parametrize("frames", [None, 1, 3])
@pytest.mark.parametrize("edge", [0, 3, 8])
def test_the_mask_is_nought_outside_of_what_changed(frames, edge):
    found = mask(*latents(frames=frames), 64, 128, edge)
    inside = torch.zeros(64, 128, dtype=torch.bool)
    inside[24:48, 16:40] = True
    assert found.shape == (2, 64, 128)
    assert not found[:, ~inside].any()
    if edge == 0:
        assert (found[:, inside] == 1).all()
    assert (found[:, 36, 28] == 1).all()  # the middle
    assert (found.diff(dim=2).abs() <= 1 / max(edge, 1) + 1e-6).all()  # no step larger than a line's


def test_where_all_has_changed_the_mask_is_whole_to_the_picture_s_border():
    source = torch.zeros(1, 4, 8, 8)
    assert (mask(source, source + 1, 64, 64, 6) == 1).all()


def test_outside_the_pixels_are_the_source_s_own():
    source, edited = (torch.rand(2, 64, 128, 3, generator=torch.Generator().manual_seed(n)) for n in (2, 3))
    before, after = latents()
    out, where = CompositeEdit.execute(source, edited, {"samples": before}, {"samples": after}, 6).result
    assert torch.equal(out[where == 0], source[where == 0])
    assert torch.equal(out[where == 1], edited[where == 1])
    assert (where == 0).any() and (where == 1).any()
    soft = (where > 0) & (where < 1)
    assert soft.any() and torch.allclose(out[soft], (source + where[..., None] * (edited - source))[soft], atol=1e-6)


def test_ten_edits_in_a_row_leave_all_else():
    picture = first = torch.rand(1, 64, 128, 3, generator=torch.Generator().manual_seed(4))
    before, after = (x[:1] for x in latents())
    where = mask(before, after, 64, 128, 4)
    for n in range(10):
        picture = composite(picture, torch.rand(picture.shape, generator=torch.Generator().manual_seed(n)), where)
    assert torch.equal(picture[where == 0], first[where == 0]) and (where == 0).any()
    assert (picture[where == 1] != first[where == 1]).all() and (where == 1).any()


def test_it_says_when_nothing_or_all_differs():
    picture = torch.rand(1, 64, 128, 3)
    before, after = (x[:1] for x in latents())

    def said(a, b):
        return CompositeEdit.execute(picture, picture, {"samples": a}, {"samples": b}, 6).ui["text"][0]

    assert "Nothing is different" in said(before, before)
    assert "connect the source's LATENT to keep" in said(before, before + 1)
    assert "% of the pixels are the source's own" in said(before, after)


@pytest.mark.parametrize(
    ("pictures", "sizes", "message"),
    [
        (((1, 64, 128, 3), (1, 64, 64, 3)), ((1, 4, 8, 16),) * 2, "compared pixel by pixel"),
        (((2, 64, 128, 3), (3, 64, 128, 3)), ((1, 4, 8, 16),) * 2, "compared pixel by pixel"),
        (((1, 64, 128, 3),) * 2, ((1, 4, 8, 16), (1, 4, 8, 8)), "latents of the two pictures"),
        (((3, 64, 128, 3),) * 2, ((2, 4, 8, 16),) * 2, "3 pictures and latents of 2"),
    ],
)
def test_what_does_not_belong_together(pictures, sizes, message):
    with pytest.raises(ValueError, match=message):
        CompositeEdit.execute(
            *(torch.rand(shape) for shape in pictures), *({"samples": torch.rand(shape)} for shape in sizes), 6
        )  # fmt: skip
