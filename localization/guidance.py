"""Whether guidance is what a model wants.

notice    a line for people where it is not
"""


def notice(model, cfg):
    """model: ComfyUI's MODEL. One that takes the strength of guidance as an input (Flux dev, HunyuanVideo) was distilled from guided
    pictures: it is made for CFG 1, and guidance on top doubles the calls. What has no such input may be distilled as well, and nothing in
    it says so."""
    if cfg == 1 or not _is_distilled(model.get_model_object("diffusion_model")):
        return ""
    return (
        f"This model has guidance of its own (it was distilled) and is made for cfg 1; with {cfg:g} every picture takes two calls instead "
        "of one, and words may be drawn worse. Set cfg to 1 unless you know better."
    )


def _is_distilled(diffusion_model):
    return bool(getattr(getattr(diffusion_model, "params", None), "guidance_embed", False))
