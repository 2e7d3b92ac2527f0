"""Localizes the text layers of a model outside the graph, in this process or spread over workers by Ray.

In ComfyUI's folder, NAME being the folder of this pack:

    python -m custom_nodes.NAME.localization.command --checkpoint FILE --size 1024 1024 --out FILE.json
    python -m custom_nodes.NAME.localization.command --diffusion-model FILE --clip FILE FILE --clip-type flux --vae FILE \\
        --size 1024 1024 --workers 8 --gpus 1 --address ray://HOST:10001 --out FILE.json

The answer is that of the node Localize Text Layers with the same settings. What was found on the way is kept where the node keeps it, so
that each goes on where the other one, or this command, was stopped. The file that is written holds the layers, as Load Text Layers reads
them, with the report and all figures beside; of a model that is not localized it holds no layers.
"""

import argparse
import json
from pathlib import Path

from ..commands.model_files import ModelFiles, add_arguments, load


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the pictures; needed but for the demo models")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="source, target a line; the node's own if not given")
    parser.add_argument("--template", default='a sign that says "{word}"', help="the prompt of all pictures, with {word}")
    parser.add_argument("--negative", default="", metavar="PROMPT")
    parser.add_argument("--strategy", default="gradients", help="as in the node")
    parser.add_argument("--proof", default="search", help='"search", "search and test" or "search, test and weigh", as in the node')
    parser.add_argument("--ocr", help="EasyOCR or RapidOCR; the better one of those that are installed if not given")
    parser.add_argument("--language", help="as in the node")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=7.0)
    parser.add_argument("--sampler", default="euler")
    parser.add_argument("--scheduler", default="simple")
    parser.add_argument("--batch", type=int, default=16, help="the most pictures in one call of the model")
    parser.add_argument("--workers", type=int, default=0, help="of Ray; without them this process searches alone")
    parser.add_argument("--gpus", type=float, default=0, help="of each worker, which may be a fraction")
    parser.add_argument("--address", metavar="ADDRESS", help="of a running Ray cluster; without it Ray starts on this machine")
    parser.add_argument("--cells", type=Path, metavar="FOLDER", help="keeps what was found; the node's if not given")
    parser.add_argument("--out", type=Path, required=True, help="FILE.json; must not exist")
    a = parser.parse_args()
    if a.out.exists():
        parser.error(f"{a.out} exists already")
    if not (a.size or a.demo):
        parser.error("--size is needed: the width and height of the pictures")
    if (a.address or a.gpus) and not a.workers:
        parser.error("--address and --gpus are of Ray's workers: say how many with --workers")
    try:
        search(a)
    except KeyboardInterrupt:
        raise SystemExit(f"{parser.prog}: stopped. Run the same command again to go on.") from None
    except (ValueError, ImportError, ConnectionError, RuntimeError) as error:
        raise SystemExit(f"{parser.prog}: {error}") from None


def search(a):
    """a: arguments of main -> what is written."""
    import torch
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()  # before the rest of ComfyUI, which looks for a GPU
    from tqdm import tqdm

    from ..patching.paths import write_whole
    from ..scoring.languages import BUILT_IN
    from ..scoring.ocr import default_engine, engine
    from . import guidance
    from .drawing import Drawing
    from .localize import before, localize, report
    from .pairs import DEFAULT, check_readable, parse_pairs
    from .spread import RaySweep
    from .storage import folder
    from .sweep import Sweep

    pairs = parse_pairs(a.pairs.read_text("utf-8-sig") if a.pairs else DEFAULT)
    reader = engine(a.ocr or default_engine(), a.language or BUILT_IN)
    check_readable(pairs, reader)
    files = ModelFiles.of(a)
    model, clip, vae = load(files)
    drawing = Drawing(model, clip, vae, pairs, _setting(a, model, vae))
    notice = "\n".join(filter(None, (guidance.notice(model, a.cfg), before(len(pairs), a.strategy, a.proof))))
    if notice:
        tqdm.write(notice)
    with tqdm(unit=" calls of the model") as bar:

        def tell(progress):
            bar.total = progress.done + progress.left
            bar.update(progress.done - bar.n)

        given = (drawing, reader, a.cells or folder(), tell)
        if a.workers:
            load_there = "commands.model_files:load"
            sweep = RaySweep(*given, load=load_there, arguments=(files,), workers=a.workers, gpus=a.gpus, address=a.address)
        else:
            sweep = Sweep(*given)
        try:
            with torch.inference_mode():  # as nodes run
                found = localize(model, sweep, a.strategy, proof=a.proof)
                text = "\n".join(filter(None, (notice, report(found, sweep))))
        finally:
            sweep.close()
    result = answer(found, sweep, text, files.name)
    write_whole((json.dumps(result, indent=2) + "\n").encode(), a.out)
    print(text)
    return result


def answer(found, sweep, text, model):
    """JSON values. text: the report; model: its name."""
    layers = json.loads(found.text_layers.to_json()) if found.localized else {}
    return {
        **layers,
        "localization": {
            "model": model,
            "layers": list(found.selection.layers),
            "of": list(found.names),
            "localized": found.localized,
            "sure": found.sure,
            "test": found.test and vars(found.test),
            "evidence": found.evidence and vars(found.evidence),
            "doubts": list(found.selection.doubts),
            "scores": {layer: round(found.ranking.mean(layer), 4) for layer in range(len(found.names))},
            "model_calls": found.model_calls,
            "proof_calls": found.proof_calls,
            "seconds": round(found.seconds, 1),
            "depends_on": sweep.parts,
            "report": text,
        },
    }


def _setting(a, model, vae):
    import comfy.samplers
    import torch

    from ..demo import signs
    from .drawing import SAMPLERS, Setting
    from .localize import PROOFS
    from .strategies import STRATEGIES

    known = {
        "strategy": (a.strategy, STRATEGIES),
        "proof": (a.proof, PROOFS),
        "sampler": (a.sampler, SAMPLERS),
        "scheduler": (a.scheduler, comfy.samplers.KSampler.SCHEDULERS),
    }
    for name, (given, choices) in known.items():
        if given not in choices:
            raise ValueError(f"There is no {name} {given}. There are: {', '.join(choices)}.")
    if not (a.steps >= 2 and a.batch >= 2 and 0 <= a.seed < 2**64 and a.cfg >= 0):
        raise ValueError("--steps and --batch are 2 or more, --seed and --cfg 0 or more.")
    width, height = a.size or (signs.WIDTH, signs.HEIGHT)
    latents = model.get_model_object("latent_format")
    ratio = getattr(latents, "spacial_downscale_ratio", None) or vae.spacial_compression_encode()  # ComfyUI 0.3 does not say
    if width % ratio or height % ratio or min(width, height) < ratio:
        raise ValueError(f"--size {width} {height}: this model draws pictures whose sides are multiples of {ratio} pixels.")
    empty = torch.zeros(1, latents.latent_channels, height // ratio, width // ratio)
    return Setting(a.template, a.negative, {"samples": empty}, a.seed, a.steps, a.cfg, a.sampler, a.scheduler, a.batch)


if __name__ == "__main__":
    main()
