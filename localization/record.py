"""What a reviewer needs to judge text layers that were found, and to find them again: it travels with TEXT_LAYERS and its file.

record   of a search
KEYS     what each holds
"""

from ..patching.comfy import file_of

KEYS = ("model", "file", "depends_on", "pairs", "template", "negative", "size", "seed", "steps", "cfg", "sampler", "scheduler", "strategy",
        "ocr", "language", "localized", "sure", "test", "doubts", "model_calls")  # fmt: skip


def record(model, sweep, found):
    """JSON values. model: the MODEL; sweep: that has read; found: localize.Localization. `depends_on` names weights, text encoder, VAE and
    versions by digests that everybody who has the same files gets; `pairs` are those, from the top, that any question was about; `size` is
    that of the latents that were drawn; `model_calls` are the search's, also those that were made before it was stopped."""
    setting = sweep.drawing.setting
    return {
        "model": type(model.model).__name__,
        "file": file_of(model),
        "depends_on": dict(sweep.parts),
        "pairs": [[pair.source, pair.target] for pair in sweep.pairs[: sweep.seen]],
        "template": setting.template,
        "negative": setting.negative,
        "size": list(sweep.drawing.size),
        "seed": setting.seed,
        "steps": setting.steps,
        "cfg": setting.cfg,
        "sampler": setting.sampler,
        "scheduler": setting.scheduler,
        "strategy": found.strategy,
        "ocr": sweep.ocr.name,
        "language": sweep.ocr.language,
        "localized": found.localized,
        "sure": found.sure,
        "test": found.test and [found.test.good, found.test.counted],
        "doubts": list(found.selection.doubts),
        "model_calls": found.model_calls + found.spared,
    }
