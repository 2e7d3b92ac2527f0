"""Cases of one memory setting, in a process of their own, since ComfyUI reads its flags when it is imported.

A line a case, written as soon as it is known: an error that ends the process leaves the earlier ones, and the line that it had begun.
"""

import json
import sys
import time
from pathlib import Path

from .cases import LOW, NORMAL, of_dict


def main():
    order = json.loads(sys.argv[1])
    cases = [of_dict(values) for values in order["cases"]]
    from comfy.cli_args import args

    if cases[0].memory != NORMAL:
        setattr(args, cases[0].memory, True)
    import torch

    from .measure import measure, reason
    from .models import build, release

    with Path(order["lines"]).open("a", encoding="utf-8") as lines, torch.inference_mode():

        def write(case, **result):
            print(json.dumps({"case": case.name, **result}), file=lines, flush=True)

        for case in cases:
            if time.time() > order["until"]:
                write(case, left_out="no time was left")
                continue
            write(case, begun=True)
            started, built = time.time(), None
            try:
                built = build(case)
                if case.memory == LOW:
                    _leave_half(built)
                result = measure(built, order["rounds"], case.peaks)
            except Exception as error:
                result = {"failed": reason(error)}
            built = None
            release()
            write(case, seconds=round(time.time() - started, 1), **result)
            print(f"{case.name}: {time.time() - started:.0f} s", file=sys.stderr, flush=True)


def _leave_half(built):
    """What --reserve-vram does: so much that half of the model fits beside what sampling takes."""
    import comfy.model_management as management

    sampling = max(built.model.model.memory_required((2, *built.shape[1:])), management.minimum_inference_memory())
    free = management.get_free_memory(built.model.load_device)
    management.EXTRA_RESERVED_VRAM = max(0, int(free - built.model.model_size() / 2 - sampling))


if __name__ == "__main__":
    main()
