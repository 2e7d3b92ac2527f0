"""Trains a localized LoRA outside the graph, on one or several processes or GPUs.

In ComfyUI's folder, NAME being the folder of this pack:

    accelerate launch -m custom_nodes.NAME.lora.command --checkpoint FILE --pictures FOLDER --out FILE.safetensors

The pictures carry captions: a .txt file beside each, or a metadata.jsonl (see lora/dataset.py). The number of processes changes the
time and nothing else: --batch is that of all of them.
"""

import argparse
from itertools import count
from pathlib import Path

from ..demo.edit import MODELS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--checkpoint", type=Path, help="a checkpoint with model, text encoders and VAE")
    model.add_argument("--demo", choices=MODELS, help="one of the demo models")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of pictures with captions")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="scale and crop the pictures to this")
    parser.add_argument("--out", type=Path, required=True, help="FILE.safetensors; must not exist")
    parser.add_argument("--layers", help="as in the node Text Layers, or a JSON file; the published ones if not given")
    parser.add_argument("--resume", type=Path, help="a LoRA of the same layers and rank to go on with")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--alpha", type=float, help="the rank if not given")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="compute the model in bfloat16")
    parser.add_argument(
        "--checkpointing",
        action=argparse.BooleanOptionalAction,
        help="less memory for more time; if not given, where the card has no room otherwise",
    )
    a = parser.parse_args()
    if a.out.suffix != ".safetensors":
        parser.error(f"--out {a.out}: LoRAs are written as .safetensors")
    if a.out.exists():
        parser.error(f"{a.out} exists already")
    try:
        _train(a)
    except ValueError as error:
        raise SystemExit(f"{parser.prog}: {error}") from None


def _train(a):
    import torch
    from accelerate import Accelerator

    # Before ComfyUI: it takes the GPU that this process has chosen.
    cpu = not torch.cuda.is_available()
    accelerator = Accelerator(cpu=cpu)
    import comfy.cli_args

    comfy.cli_args.args.cpu = cpu
    from tqdm import tqdm

    from ..patching import models
    from ..patching.text_layers import TextLayers
    from . import storage
    from .dataset import read_folder
    from .files import read
    from .train import Settings, recent, train

    pictures, captions = read_folder(a.pictures, a.size)
    start = read(a.resume) if a.resume else None
    model, clip, vae = _load(a)
    if not a.layers:
        text_layers = models.preset(model)
    elif Path(a.layers).is_file():
        text_layers = TextLayers.from_json(Path(a.layers).read_text("utf-8"))
    else:
        text_layers = models.written(model, a.layers)
    with torch.no_grad():
        latents = [latent for picture in pictures for latent in vae.encode(picture)]
        prompts = [clip.encode_from_tokens_scheduled(clip.tokenize(caption)) for caption in captions]
    settings = Settings(a.rank, a.alpha, a.learning_rate, a.steps, a.batch, a.seed, low_precision=a.bf16, checkpointing=a.checkpointing)
    first = accelerator.is_main_process
    bar = tqdm(total=a.steps, disable=not first)

    def tell(losses, draw):
        bar.update()
        bar.set_postfix(loss=f"{recent(losses):.4f}")

    def keep(lora):
        if first:
            names = (a.out.with_stem(f"{a.out.stem}-interrupted-{number}") for number in count(1))
            path = storage.write(lora, next(name for name in names if not name.exists()))
            tqdm.write(f"Cut short. What was trained is in {path}: go on with --resume.")

    trained = train(model, latents, prompts, text_layers, settings, start, tell, keep, accelerator)
    if first:
        if str(trained.room):
            tqdm.write(str(trained.room))
        storage.write(trained.tensors, a.out)
    accelerator.end_training()


def _load(a):
    """(MODEL, CLIP, VAE)"""
    if a.demo:
        from ..demo import comfy_model

        return comfy_model.load(a.demo)
    import comfy.sd

    if not a.checkpoint.is_file():
        raise ValueError(f"There is no file {a.checkpoint}.")
    return comfy.sd.load_checkpoint_guess_config(str(a.checkpoint))[:3]


if __name__ == "__main__":
    main()
