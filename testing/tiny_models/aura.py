"""AuraFlow."""

from .model import TinyModel

AURA = {"max_seq": 64, "cond_seq_dim": 24, "n_double_layers": 2, "n_layers": 5, "dim": 32, "n_heads": 2, "global_conddim": 32}
# ComfyUI finds no width in the checkpoint: it is the diffusion model's default.
FULL = {"max_seq": 9216, "cond_seq_dim": 2048, "n_double_layers": 4, "n_layers": 36}
REGISTERS = 8

MODELS = [
    TinyModel("AuraFlow", "aura", AURA, (4, 8, 12), 24, picture=24, layers=5, text=lambda tokens: tokens + REGISTERS,
              models="AuraFlow 0.1 to 0.3, Pony V7", full=FULL, full_layers=36),
]  # fmt: skip
