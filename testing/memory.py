"""How much memory a function takes on the CPU, by torch's own account."""

import torch
from torch.profiler import ProfilerActivity, profile


def peak_bytes(function):
    """(what it returns, the most bytes that its tensors held at once)"""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        value = function()
    held = peak = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]" and event.device_type() == torch.autograd.DeviceType.CPU:
            held += event.nbytes()
            peak = max(peak, held)
    return value, peak
