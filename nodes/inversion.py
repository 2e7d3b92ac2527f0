"""The nodes for editing a picture that no model drew here."""

import math

import latent_preview
import numpy as np
import torch
from comfy_api.latest import io

from ..inversion.invert import draw, invert
from ..inversion.pictures import decode, encode
from ..scoring.image import psnr
from ..scoring.languages import BUILT_IN
from ..scoring.mask import mask_words
from ..scoring.ocr import engine
from .checked import checked
from .comfy_compat import SAYS_AGAIN, aliases
from .inputs import language_input, ocr_input, read_images
from .live import each
from .text_layers import CATEGORY, show


class InvertPicture(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersInvert",
            display_name="Invert Picture",
            category=f"{CATEGORY}/edit",
            description="Finds the noise from which the model draws a given picture, so that it can be edited like one of the model's own.",
            **aliases("unsampler", "DDIM inversion", "RF inversion", "image to noise", "edit real image", "edit photo"),
            inputs=[
                io.Guider.Input(
                    "guider",
                    tooltip="Basic Guider or CFG Guider with the unpatched model and the prompt of what the picture shows. CFG 1 is best.",
                ),
                io.Sigmas.Input("sigmas", tooltip="The schedule that will draw the picture, as Basic Scheduler gives it."),
                io.Vae.Input("vae", tooltip="The VAE of the same model."),
                io.Image.Input("image", tooltip="The picture, or several of one size, in a size that the model draws."),
                io.Int.Input(
                    "refinements",
                    default=8,
                    min=0,
                    max=100,
                    tooltip="More calls of the model in each step, for a nearer picture. 0 is plain DDIM inversion.",
                ),
            ],
            outputs=[
                io.Noise.Output(tooltip="For SamplerCustomAdvanced, with the sampler euler and the same sigmas."),
                io.Latent.Output(tooltip="The picture's latent, for SamplerCustomAdvanced."),
                io.Image.Output(display_name="reconstruction", tooltip="What the model draws from the noise."),
                io.Float.Output(display_name="psnr", tooltip="Of the reconstruction against the picture, dB; of a batch the lowest."),
                io.String.Output(display_name="report", tooltip="How near the reconstruction is, and how near the VAE alone comes."),
            ],
            **SAYS_AGAIN,
        )

    @classmethod
    @checked
    def execute(cls, guider, sigmas, vae, image, refinements):
        pictures = read_images("image", image)[:, 0]  # on white: a model draws opaque pictures
        latent = encode(vae, pictures)
        steps = len(sigmas) - 1
        preview = latent_preview.prepare_callback(guider.model_patcher, 2 * steps)
        noise = invert(guider, latent, sigmas, refinements, lambda step, x0, x, _: preview(step, x0, x, 2 * steps))
        drawn = draw(guider, noise, latent, sigmas, lambda step, x0, x, _: preview(steps + step, x0, x, 2 * steps))
        reconstruction = decode(vae, drawn)
        shown = read_images("reconstruction", reconstruction)[:, 0]
        cropped = vae.vae_encode_crop_pixels(torch.from_numpy(pictures)).numpy()[..., :3]
        near = [psnr(a, b) for a, b in zip(cropped, shown, strict=True)]
        bound = [psnr(a, b) for a, b in zip(cropped, read_images("image", decode(vae, latent))[:, 0], strict=True)]
        text = "\n".join(
            f"picture {number}: drawn again {_decibel(a)}, by the VAE alone {_decibel(b)}; spread of the noise {spread:.2f}, usual is 1"
            for number, (a, b, spread) in enumerate(zip(near, bound, noise.spread(), strict=True), 1)
        )
        return io.NodeOutput(noise, {"samples": latent}, reconstruction, min(near), text, ui=show(text))


class MaskDrawnText(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersMask",
            display_name="Mask Drawn Text",
            category=f"{CATEGORY}/edit",
            description="A mask of the words that OCR finds. With ImageCompositeMasked, everything outside of it stays exactly as it was.",
            **aliases("text mask", "OCR mask", "text box", "inpaint text", "detect text"),
            inputs=[
                io.Image.Input("image", tooltip="The pictures whose words are masked."),
                ocr_input("What finds them"),
                io.Int.Input("grow", default=4, min=0, max=1000, tooltip="Pixels around each word's box."),
                io.Image.Input("also", optional=True, tooltip="The edited pictures: their words are masked too, for they may be longer."),
                language_input(),
            ],
            outputs=[io.Mask.Output(tooltip="White over the words, one a picture.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(cls, image, ocr, grow, also=None, language=BUILT_IN):
        pictures = read_images("image", image)
        others = read_images("also", also) if also is not None else pictures
        if len(others) not in (1, len(pictures)) or others.shape[2:] != pictures.shape[2:]:
            raise ValueError(f"image is {_size(pictures)} and also {_size(others)}: give as many of the same size.")
        reader, masks = engine(ocr, language or BUILT_IN), []
        for number, picture in each(list(enumerate(pictures)), cls):
            sources = [picture] if also is None else [picture, others[number % len(others)]]
            masks.append(np.maximum.reduce([mask_words(source, reader, grow) for source in sources]))
        return io.NodeOutput(torch.from_numpy(np.stack(masks)).float())


def _decibel(value):
    return "exactly" if math.isinf(value) else f"with PSNR {value:.1f} dB"


def _size(pictures):
    return f"{len(pictures)} of {pictures.shape[3]} x {pictures.shape[2]} pixels"
