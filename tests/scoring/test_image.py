"""Image metrics against scikit-image."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from text_layers.scoring import image

pytestmark = pytest.mark.any_comfyui


def two_pictures(height=32, width=64, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (height, width, 3))
    return a.astype(np.uint8), np.clip(a + rng.integers(-40, 40, a.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(32, 64), (7, 7), (101, 53)])
def test_whole_pictures(size):
    a, b = two_pictures(*size)
    assert image.mse(a, b) == pytest.approx(mean_squared_error(a / 255, b / 255))
    assert image.psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b))
    assert image.ssim(a, b) == pytest.approx(structural_similarity(a, b, channel_axis=2))


@pytest.mark.parametrize("size", [(32, 64), (11, 11), (101, 53)])
def test_the_published_similarity(size):
    """Weighted windows and covariances of the window itself, which are pytorch_msssim's, in scikit-image's own implementation."""
    a, b = two_pictures(*size)
    wanted = structural_similarity(a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert image.paper_ssim(a, b) == pytest.approx(wanted) != pytest.approx(image.ssim(a, b))
    assert image.paper_ssim(a, a) == pytest.approx(1)


def test_the_published_similarity_is_a_convolution():
    """As pytorch_msssim computes it: one convolution for each mean, without padding."""
    a, b = two_pictures()
    x, y = (torch.from_numpy(p).double().permute(2, 0, 1)[:, None] for p in (a, b))
    g = torch.exp(-((torch.arange(11).double() - 5) ** 2) / (2 * 1.5**2))
    kernel = (torch.outer(g, g) / g.sum() ** 2)[None, None]

    def mean(values):
        return torch.nn.functional.conv2d(values, kernel)

    both, xx, yy = mean(x * y) - mean(x) * mean(y), mean(x * x) - mean(x) ** 2, mean(y * y) - mean(y) ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    cs = (2 * both + c2) / (xx + yy + c2)
    wanted = ((2 * mean(x) * mean(y) + c1) / (mean(x) ** 2 + mean(y) ** 2 + c1) * cs).flatten(1).mean(-1).mean()
    assert image.paper_ssim(a, b) == pytest.approx(float(wanted))


def test_the_background_is_what_is_outside_the_boxes():
    a, b = two_pictures()
    boxes = [(10, 8, 30, 20), (25, -5, 40, 12)]
    outside = np.ones((32, 64), bool)
    outside[8:20, 10:30] = outside[0:12, 25:40] = False
    assert image.mse(a, b, boxes) == pytest.approx(mean_squared_error(a[outside] / 255, b[outside] / 255))
    changed = b.copy()
    changed[~outside] = 0
    for measure in (image.mse, image.psnr, image.ssim, image.paper_ssim):
        assert measure(a, changed, boxes) == pytest.approx(measure(a, b, boxes))
        assert measure(a, changed) != measure(a, b)


def test_the_ssim_of_a_cut_off_side_is_that_of_the_rest():
    a, b = two_pictures()
    assert image.ssim(a, b, [(40, 0, 64, 32)]) == pytest.approx(structural_similarity(a[:, :40], b[:, :40], channel_axis=2))


def test_equal_pictures():
    a, _ = two_pictures()
    assert (image.mse(a, a), image.psnr(a, a), image.ssim(a, a)) == (0, float("inf"), 1)


def test_errors_say_what_is_wrong():
    a, b = two_pictures()
    with pytest.raises(ValueError, match="different sizes: 64 x 32 and 63 x 32"):
        image.mse(a, b[:, 1:])
    with pytest.raises(ValueError, match="nothing is left to compare"):
        image.psnr(a, b, [(0, 0, 64, 32)])
    with pytest.raises(ValueError, match="7 x 7"):
        image.ssim(a[:5], b[:5])
    with pytest.raises(ValueError, match="11 x 11"):
        image.paper_ssim(a[:10], b[:10])


def test_pixels_of_batches_and_videos():
    """A half of one step rounds to the even value, as everywhere in NumPy and torch."""
    batch = torch.tensor([[[[0.0, 0.5, 1.0]]], [[[-1.0, 2.0, 254.6 / 255]]]])
    expected = [[[[0, 128, 255]]], [[[0, 255, 255]]]]
    assert image.pixels(batch).tolist() == expected and image.pixels(batch).dtype == np.uint8
    assert image.pixels(batch[:, None]).tolist() == expected  # [n, frames, H, W, C]
    assert image.pixels(batch[0]).tolist() == expected[:1]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_what_is_transparent_shows_the_ground(mode):
    """Against Pillow, which rounds twice."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (5, 7, len(mode)), np.uint8)
    file = Image.fromarray(values.squeeze(), mode)
    batch = torch.from_numpy(values).float()[None] / 255
    for ground, colour in ((image.WHITE, "white"), (image.BLACK, "black")):
        expected = Image.alpha_composite(Image.new("RGBA", file.size, colour), file.convert("RGBA")).convert("RGB")
        assert np.abs(image.pixels(batch, ground)[0].astype(int) - np.asarray(expected)).max() <= 1
    grounds = image.on_grounds(batch)
    assert grounds.shape == (1, 2 if mode in ("LA", "RGBA") else 1, 5, 7, 3)
    assert np.array_equal(grounds[:, 0], image.pixels(batch)) and np.array_equal(grounds[:, -1], image.pixels(batch, image.BLACK))
    assert image.on_grounds(torch.cat([batch[..., :1], torch.ones(1, 5, 7, 1)], -1)).shape[1] == 1, "alpha without holes"


def test_boxes_are_marked_to_the_pixel():
    """Right and bottom are outside, and what lies around is cut at the picture's border."""
    for box, grow, rows, columns in (
        ((5, 4, 9, 7), 0, slice(4, 7), slice(5, 9)),
        ((5, 4, 9, 7), 2, slice(2, 9), slice(3, 11)),
        ((1, 2, 3, 4), 3, slice(0, 7), slice(0, 6)),
        ((26, 17, 30, 20), 3, slice(14, 20), slice(23, 30)),
    ):
        expected = np.zeros((20, 30), bool)
        expected[rows, columns] = True
        assert np.array_equal(image.inside((20, 30, 3), [box], grow), expected), (box, grow)
