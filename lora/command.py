"""Trains a localized LoRA outside the graph, on one or several processes or GPUs.

In ComfyUI's folder, NAME being the folder of this pack:

    accelerate launch -m custom_nodes.NAME.lora.command --checkpoint FILE --pictures FOLDER --out FILE.safetensors

The pictures carry captions: a .txt file beside each, or a metadata.jsonl (see lora/dataset.py). The number of processes changes the
time and nothing else: --batch is that of all of them.
"""

import argparse
from functools import partial
from pathlib import Path

from ..commands.model_files import ModelFiles, add_arguments, load
from .optimizer import OPTIMIZERS, SCHEDULES
from .state import ENDING, State
from .state import read as read_training

_OWN = Path("the unfinished training of --out")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of pictures with captions")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="scale and crop the pictures to this")
    parser.add_argument("--buckets", action="store_true", help="keep the pictures' own proportions, at about as many pixels as --size")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps latents and encoded captions for the next time")
    parser.add_argument("--out", type=Path, required=True, help="FILE.safetensors; must not exist")
    parser.add_argument("--layers", help="as in the node Text Layers, or a JSON file; the published ones if not given")
    parser.add_argument(
        "--resume",
        type=Path,
        nargs="?",
        const=_OWN,
        metavar="FILE",
        help="an unfinished training (.training), which goes on to --steps as if it had not stopped, or a LoRA of the same layers and "
        "rank, which is trained for --steps more; without FILE the unfinished training of --out, if there is one",
    )
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--alpha", type=float, help="the rank if not given")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--schedule", choices=SCHEDULES, default=SCHEDULES[0], help="of the learning rate")
    parser.add_argument("--warmup", type=int, default=0, metavar="STEPS", help="in which the learning rate rises from zero")
    parser.add_argument("--max-gradient", type=float, default=1.0, metavar="NORM", help="clip its norm; 0 for never")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default=OPTIMIZERS[0], help="the 8-bit one needs bitsandbytes")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--save-every", type=int, default=50, metavar="STEPS", help="the training is saved, beside --out, as .training")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--accumulation", type=int, default=1, metavar="BATCHES", help="that make one step")
    parser.add_argument("--caption-dropout", type=float, default=0.0, metavar="SHARE", help="of the pictures that come without caption")
    parser.add_argument("--validation-words", nargs="+", metavar="WORD", help="that are in none of the pictures: drawn and read meanwhile")
    parser.add_argument("--validation-prompt", default='a sign that says "WORD"', metavar="PROMPT", help="in which WORD stands for them")
    parser.add_argument("--validate-every", type=int, default=100, metavar="STEPS")
    parser.add_argument("--validation-cfg", type=float, default=5.0, metavar="CFG", help="with which you will sample")
    parser.add_argument("--patience", type=int, default=0, metavar="READINGS", help="without a better one, after which it ends; 0: never")
    parser.add_argument("--ocr", choices=("EasyOCR", "RapidOCR"), default="EasyOCR")
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
    if a.buckets and not a.size:
        parser.error("--buckets needs --size, which says how many pixels the pictures have")
    if a.resume is _OWN:
        a.resume = a.out.with_suffix(ENDING) if a.out.with_suffix(ENDING).exists() else None
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
    import comfy.model_management
    from tqdm import tqdm

    from ..patching import models
    from ..patching.text_layers import TextLayers
    from .cache import Cache
    from .dataset import bucket, read_folder
    from .keeping import Keeper
    from .signals import Told
    from .train import Settings, recent, train
    from .validation import encoded, of_words

    pictures, captions = read_folder(a.pictures, partial(bucket, *a.size) if a.buckets else a.size)
    start = _start(a)
    files = ModelFiles.of(a)
    model, clip, vae = load(files)
    if not a.layers:
        text_layers = models.preset(model)
    elif Path(a.layers).is_file():
        text_layers = TextLayers.from_json(Path(a.layers).read_text("utf-8"))
    else:
        text_layers = models.written(model, a.layers)
    with torch.no_grad():
        cache = Cache(a.cache, files.all(), files.clip_type)
        latents = [cache.latent(picture, lambda picture: vae.encode(picture)[0]) for picture in pictures]
        prompts = [cache.prompt(caption, partial(encoded, clip)) for caption in captions]
    settings = Settings(
        a.rank, a.alpha, a.learning_rate, a.steps, a.batch, a.seed, low_precision=a.bf16, checkpointing=a.checkpointing,
        accumulation=a.accumulation, schedule=a.schedule, warmup=a.warmup, clip=a.max_gradient, caption_dropout=a.caption_dropout,
        optimizer=a.optimizer,
    )  # fmt: skip
    empty = encoded(clip, "") if a.caption_dropout else None
    validation = None
    if a.validation_words:
        how = (a.validate_every, a.validation_cfg, a.patience, a.seed)
        validation = of_words(a.validation_words, a.validation_prompt, clip, vae, a.ocr, *how)
    first = accelerator.is_main_process
    bar = tqdm(total=a.steps, initial=start.step if isinstance(start, State) else 0, disable=not first)

    def tell(losses, draw):
        bar.update()
        bar.set_postfix(loss=f"{recent(losses):.4f}")

    keep = Keeper(
        a.out.with_suffix(ENDING), (a.out.parent, f"{a.out.stem}-interrupted"), (Path.cwd(), Path.home()), a.save_every, tqdm.write
    )
    told = Told(accelerator.num_processes == 1)
    try:
        with told:
            what = (model, latents, prompts, text_layers, settings, start, tell, keep if first else None, accelerator, empty, validation)
            trained = train(*what, stop=lambda: told.signal)
    except comfy.model_management.InterruptProcessingException:
        raise SystemExit(128 + told.signal if told.signal else 1) from None
    if first:
        path = keep.finish(trained.tensors, a.out)
        for note in filter(None, (*trained.notes, str(trained.room))):
            tqdm.write(note)
        tqdm.write(f"Saved as {path}.")
    accelerator.end_training()


def _start(a):
    """What to go on with. Raises ValueError where another training would be written over."""
    from .files import read

    start = a.resume and (read_training(a.resume) if a.resume.suffix == ENDING else read(a.resume))
    there = a.out.with_suffix(ENDING)
    if there.exists():
        other = read_training(there)
        if not (isinstance(start, State) and start.losses[: other.step] == other.losses):
            raise ValueError(f"{there} is another training, at step {other.step}: go on with --resume {there}, or choose another --out.")
    return start


if __name__ == "__main__":
    main()
