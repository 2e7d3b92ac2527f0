"""What the demo models are called, and the pictures that each draws."""

MODELS = ("unet", "mmdit")  # a word in capitals on a sign, without a VAE
BOARDS = ("unet-256", "mmdit-256")  # texts in any case on boards on walls, with a VAE


def size(name):
    """(width, height) in pixels."""
    return (256, 128) if name in BOARDS else (64, 32)
