"""IMAGE sockets as the pictures that the rest of the pack takes."""

from ..scoring.image import pixels


def read_images(name, batch):
    """[n, H, W, 3] uint8 of an IMAGE, without alpha. Raises ValueError that calls the input by `name`, for none and for broken ones."""
    if not batch.numel():
        raise ValueError(f"{name} holds no picture.")
    if not batch.isfinite().all():
        raise ValueError(f"{name} has values that are no numbers: the sampler or the VAE that made it has failed.")
    return pixels(batch.expand(*batch.shape[:-1], max(3, batch.shape[-1])))
