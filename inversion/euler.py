"""Euler's method run backwards: the noise from which a sampler of that name draws a given latent.

invert_euler    a sampler function, as ComfyUI's KSAMPLER takes them
"""

import comfy.model_management
import torch


@torch.no_grad()
def invert_euler(model, x, sigmas, extra_args=None, callback=None, disable=None, refinements=8, window=4):
    """From model.latent_image to latents at sigmas[0]; sigmas: as for drawing, from noisy to 0. x is not used.

    Euler's step from sigma_i to sigma_i+1 is x_i+1 = x_i + (sigma_i+1 - sigma_i) d(x_i, sigma_i), with d(x, sigma) = (x - denoised) / sigma
    for every kind of model (eps, v, flow). Backwards x_i is on both sides: it is the fixed point y = g(y) of
    g(y) = x_i+1 - (sigma_i+1 - sigma_i) d(y, sigma_i). The first estimate is g(x_i+1), which is DDIM inversion (Song et al., 2021) and, for
    flows, reversed Euler. Each refinement calls the model once and goes on by Anderson's method: to the combination of the last estimates
    (`window` of them) whose residuals g(y) - y cancel most. A window of 1 is plain iteration
    (as in ReNoise, Garibi et al., 2024), which needs several times as many calls; see benchmarks.editing.inversion.
    """
    x = model.latent_image.clone()
    rows = x.new_ones(len(x))
    steps = len(sigmas) - 1
    for done, i in enumerate(reversed(range(steps))):
        denoised = None

        def g(y, known=x, i=i):
            nonlocal denoised
            comfy.model_management.throw_exception_if_processing_interrupted()
            denoised = model(y, sigmas[i] * rows, **(extra_args or {}))
            return known - (sigmas[i + 1] - sigmas[i]) * (y - denoised) / sigmas[i]

        x = _fixed_point(g, g(x), refinements, window)
        if callback is not None:
            callback({"x": x, "i": done, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
    return x


def _fixed_point(g, y, refinements, window):
    """y = g(y), from y on; rows are solved each by itself."""
    values, residuals = [], []
    for _ in range(refinements):
        value = g(y)
        values = [*values, value.flatten(1).float()][-window:]
        residuals = [*residuals, (value - y).flatten(1).float()][-window:]
        y = value
        if len(values) > 1:
            value_steps, residual_steps = (torch.stack(kept, -1).diff(dim=-1) for kept in (values, residuals))  # [B, N, window - 1]
            weights = _least_squares(residual_steps, residuals[-1])
            y = (values[-1] - (value_steps @ weights)[..., 0]).view_as(value).to(value)
    return y


def _least_squares(columns, wanted):
    """columns: [B, N, k], wanted: [B, N] -> [B, k, 1]. The ridge keeps columns that have become the same, once all is solved, apart."""
    products = (columns.mT @ columns).cpu().double()
    ridge = 1e-6 * products.diagonal(dim1=1, dim2=2).mean(1) + torch.finfo(torch.float64).tiny
    solved = torch.linalg.solve(
        products + ridge[:, None, None] * torch.eye(products.shape[1], dtype=torch.float64), (columns.mT @ wanted[..., None]).cpu().double()
    )
    return solved.to(columns)
