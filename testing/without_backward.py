"""A demo model with a part that has no backward pass, as kernels of some packs."""

from ..demo import comfy_model


def load(name="mmdit"):
    """(MODEL, CLIP, VAE). The part's own branch gives no gradient, and what goes around it does: autograd says nothing."""
    loaded = comfy_model.load(name)
    mlp = loaded[0].model.diffusion_model.joint_blocks[1].x_block.mlp
    forward = mlp.forward
    mlp.forward = lambda x: 3 * forward(x).detach() - 2 * forward(x)
    return loaded
