"""Pictures to latents and back, one latent a picture, also through a VAE of videos.

encode   [n, H, W, 3] uint8 -> [n, C, ...]
decode   [n, C, ...] -> [n, H, W, C]
"""

import torch


def encode(vae, pictures):
    """Each by itself: a VAE of videos (Qwen-Image's, Wan's) takes several for one film, of which it keeps every fourth picture."""
    latents = [vae.encode(torch.from_numpy(picture[None]).float() / 255) for picture in pictures]
    for latent in latents:
        _check(len(latent), 1)
    return torch.cat(latents)


def decode(vae, latents):
    pictures = vae.decode(latents)
    pictures = pictures.reshape(-1, *pictures.shape[-3:])
    _check(len(pictures), len(latents))
    return pictures


def _check(made, wanted):
    if made != wanted:
        raise ValueError(
            f"This VAE gives {made} for {wanted} picture{'s' if wanted > 1 else ''}, so that it is not known which belongs to which. "
            "Connect the VAE that belongs to the model."
        )
