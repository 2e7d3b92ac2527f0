"""Why nothing notices what survives: (file, before, after) -> the reason."""

_LENGTHS = "a guard against lists of different length, which cannot be where it is called"

WHY = {
    ("lora/train.py", "True", "False"): _LENGTHS,
    ("lora/fit.py", "False", "True"): "each that is made says it: the default is never taken",
    ("lora/examples.py", "sampling.calculate_denoised(sigmas, one, zero) - sampling.calculate_denoised(sigmas, zero, zero)",
     "sampling.calculate_denoised(sigmas, one, zero) + sampling.calculate_denoised(sigmas, zero, zero)"):
        "what ComfyUI makes of a prediction of 0 on latents of 0 is 0",
    ("localization/selection.py", "0", "1"): "where the test has come to its end, the logarithm is above 1.9 or below 0",
    ("localization/localize.py", "0", "1"): "of no pair that was read no line is written, whatever the other number is",
    ("localization/choice.py", "len(chosen) - 1", "len(chosen) + 1"):
        "without all of its layers a set is missed, so that half of them are tried next; it takes some calls more",
    ("patching/patch.py", "False", "True"): "ComfyUI always says it: the default is never taken",
}  # fmt: skip
