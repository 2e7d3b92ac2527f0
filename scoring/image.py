"""How much two pictures differ, over the whole of them or over the background.

check_size         refuses what nobody means to be looked at
pixels             makes uint8 pictures of ComfyUI's
on_grounds         the same, on each ground that may show something else
inside             marks boxes
mse, psnr, ssim, paper_ssim   take two uint8 pictures [H, W, 3] and compute in float
                   outside: boxes (left, top, right, bottom) that do not count, right and bottom exclusive; or [H, W] bool

Raise ValueError for pictures of different size and when nothing is left to compare.
"""

import numpy as np

WHITE, BLACK = 1.0, 0.0
_MOST = 2**26  # pixels of a picture, 8192 x 8192; a file of a few hundred kilobytes can hold thousands of millions
_WINDOW, _GAUSSIAN = 7, 11  # pixels; the windows of scikit-image's structural similarity, and of the published one


def check_size(name, width, height):
    """Raises ValueError that calls the picture by `name`, before anything is computed of it."""
    if width * height > _MOST:
        million = f"{width * height / 1e6:.0f} million pixels, and {_MOST / 1e6:.0f} is the most"
        raise ValueError(f"{name} is {width} x {height} pixels: {million}. Scale it down before.")


def pixels(images, ground=WHITE):
    """images: tensor [..., H, W, C], 0 to 1, as VAEs of pictures and of videos give them -> array [n, H, W, 3] uint8. C: 1 grey, 3 colours,
    and 2 or 4 with alpha: what is transparent shows the ground, 0 to 1."""
    values = images.reshape(-1, *images.shape[-3:]).cpu().float().numpy()
    if _has_alpha(images):
        values, alpha = values[..., :-1].clip(0, 1), values[..., -1:].clip(0, 1)
        values = values * alpha + ground * (1 - alpha)
    values = (values * 255).round().clip(0, 255).astype(np.uint8)
    return values.repeat(3, -1) if values.shape[-1] == 1 else values


def on_grounds(images):
    """[n, grounds, H, W, 3] uint8: on white, and on black as well where a picture is transparent. Two parts of a picture that differ at all
    differ on one of the two: what has the same colour on both has the same alpha, and the same colour of its own."""
    grounds = (WHITE, BLACK) if _has_alpha(images) and (images[..., -1] < 1).any() else (WHITE,)
    return np.stack([pixels(images, ground) for ground in grounds], 1)


def _has_alpha(images):
    return images.shape[-1] in (2, 4)


def inside(shape, boxes, grow=0):
    """[H, W] bool: shape: of a picture, (H, W, ...); boxes: (left, top, right, bottom), right and bottom exclusive; grow: pixels around."""
    marked = np.zeros(shape[:2], bool)
    for left, top, right, bottom in boxes:
        marked[max(0, top - grow) : bottom + grow, max(0, left - grow) : right + grow] = True
    return marked


def mse(a, b, outside=()):
    """Mean squared error, 0 to 1, of pictures whose values go from 0 to 1."""
    a, b, counts = _prepare(a, b, outside)
    return float(np.square(a - b)[counts].mean() / 255**2)


def psnr(a, b, outside=()):
    """Peak signal-to-noise ratio in dB. Infinite for equal pictures."""
    error = mse(a, b, outside)
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(a, b, outside=()):
    """Mean structural similarity (Wang et al., 2004) over 7 x 7 windows of equal weight with sample covariance, mean of the channels,
    which is scikit-image's default. Only windows that lie whole within the picture and outside the boxes count."""
    from scipy.ndimage import uniform_filter

    return _similarity(a, b, outside, lambda x: uniform_filter(x, (_WINDOW, _WINDOW, 0)), _WINDOW, _WINDOW**2 / (_WINDOW**2 - 1))


def paper_ssim(a, b, outside=()):
    """The same over 11 x 11 windows with the weights of a Gaussian of 1.5 pixels, as published and as pytorch_msssim computes it, which is
    the paper's."""
    from scipy.ndimage import correlate1d

    weights = np.exp(-(np.square(np.arange(_GAUSSIAN) - _GAUSSIAN // 2) / (2 * 1.5**2)))
    weights /= weights.sum()
    return _similarity(a, b, outside, lambda x: correlate1d(correlate1d(x, weights, 0), weights, 1), _GAUSSIAN, 1)


def _similarity(a, b, outside, mean, window, sample):
    """mean: of each window; sample: by which covariances are larger than in the window itself."""
    from scipy.ndimage import minimum_filter

    a, b, counts = _prepare(a, b, outside)
    counts = minimum_filter(counts, window, mode="constant", cval=0)  # windows that reach over the edge or into a box do not count
    if not counts.any():
        raise ValueError(f"What is left to compare has no window of {window} x {window} pixels; structural similarity needs one.")
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = (sample * (mean(x * x) - m * m) for x, m in ((a, mean_a), (b, mean_b)))
    both = sample * (mean(a * b) - mean_a * mean_b)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(similarity[counts].mean())


def _prepare(a, b, outside):
    if a.shape != b.shape:
        raise ValueError(f"The pictures have different sizes: {a.shape[1]} x {a.shape[0]} and {b.shape[1]} x {b.shape[0]} pixels.")
    counts = ~(outside if isinstance(outside, np.ndarray) else inside(a.shape, outside))
    if not counts.any():
        raise ValueError("What does not count covers the whole picture, so that nothing is left to compare.")
    return a.astype(np.float64), b.astype(np.float64), counts
