"""Muon for many small matrices: the matrices of one shape are orthogonalised together, which is what makes it fast on a CPU.

Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); the update is scaled to AdamW's RMS as in
Liu et al., "Muon is scalable for LLM training" (2025). torch.optim.Muon does one matrix at a time and refuses convolutions; those
are taken as out x (in * height * width) here.
"""

import torch

from .precision import fast_type


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.95, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                by_shape.setdefault((p.shape[0], p[0].numel()), []).append(p)
            for shape, params in by_shape.items():
                grads = [p.grad for p in params]
                momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in params]
                torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
                nesterov = torch._foreach_lerp(grads, momenta, group["momentum"])
                update = orthogonalize(torch.stack([u.reshape(shape) for u in nesterov]))
                scale = 0.2 * max(shape) ** 0.5
                if group["weight_decay"]:
                    torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(params, [u.reshape(p.shape) for u, p in zip(update, params, strict=True)], alpha=-group["lr"] * scale)


def orthogonalize(matrices, steps=5):
    """Nearest semi-orthogonal matrices of a stack [N, rows, columns], by five quintic Newton-Schulz steps."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.to(fast_type(matrices.device))
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)
