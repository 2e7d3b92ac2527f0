"""What is tried.

Case       one model in one precision, as one of ComfyUI's flags has it loaded
on_card    all of them for a card, the most telling first
on_cpu     what a machine without a card can do
as_dict, of_dict   to another process and back
"""

from dataclasses import asdict, dataclass

# Weights, and what is computed with.
PRECISIONS = {
    "float32": ("float32", None),
    "bfloat16": ("bfloat16", None),
    "float16": ("float16", None),
    "fp8": ("float8_e4m3fn", "bfloat16"),
}
DEMO, FULL = ("demo unet", "demo mmdit"), ("SDXL", "SD3 medium", "Flux")
TINY = ("tiny SDXL", "tiny SD3", "tiny Flux")
# Named as ComfyUI's flags are. Of these, "lowvram" leaves the model half the memory that it would take.
NORMAL, LOW, NONE, HIGH = "normal", "lowvram", "novram", "highvram"


@dataclass(frozen=True)
class Case:
    model: str
    precision: str
    memory: str = NORMAL
    compiled: str = ""  # torch.compile's backend
    peaks: bool = True  # whether memory is measured

    @property
    def name(self):
        return ", ".join([self.model, self.precision, self.memory, *(["torch.compile " + self.compiled] if self.compiled else [])])


def on_card():
    """Neighbours of one memory setting share a process."""
    normal = [
        *(Case(model, "float32") for model in DEMO),
        *(Case(model, "bfloat16") for model in (*DEMO, *FULL)),
        *(Case(model, "fp8") for model in (*FULL[::-1], *DEMO)),
        *(Case(model, "float16") for model in (*DEMO, *FULL)),
    ]
    low, none, high = ([Case(model, "bfloat16", memory) for model in (*FULL, *DEMO)] for memory in (LOW, NONE, HIGH))
    compiled = [*(Case(model, "float32", compiled="inductor") for model in DEMO), Case("SD3 medium", "bfloat16", compiled="inductor")]
    return [*normal, *low, *high, *compiled, *none]


def on_cpu():
    return [
        *(Case(model, "float32") for model in TINY),
        *(Case(model, precision, peaks=False) for precision in ("bfloat16", "fp8", "float16") for model in TINY),
        Case("tiny SD3", "float32", compiled="eager", peaks=False),
        *(Case(model, "float32", peaks=False) for model in DEMO),
    ]


as_dict = asdict


def of_dict(values):
    return Case(**values)
