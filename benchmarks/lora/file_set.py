"""Small LoRA files of every kind that people have, whole and broken: `python dev.py run benchmarks.lora.file_set FOLDER`

Random numbers on the demo models and on tiny random ones, file n from seed n, with models.tsv for benchmarks.lora.files.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import comfy.lora
import torch
from safetensors.torch import save_file

from .models import model_of

RANK = 2
CROSS = ("attn2",)  # of a U-Net


class Maker:
    """One file's random numbers, and the shapes of the model that it is for."""

    def __init__(self, model, clip, seed):
        self.model, self.clip = model, clip
        self.shapes = {name: tuple(w.shape) for name, w in model.model.state_dict().items()}
        self.generator = torch.Generator().manual_seed(seed)

    def random(self, *shape):
        return 0.3 * torch.randn(shape, generator=self.generator)

    def modules(self, prefix, only=("attn", "attention", "linear")):
        """{name: (out, in)} of matrices that ComfyUI knows under this prefix, which real files spell so, too."""
        found, taken = {}, set()
        for name, key in comfy.lora.model_lora_keys_unet(self.model.model, {}).items():
            weight, part = (key, None) if isinstance(key, str) else key[:2]
            shape = self.shapes.get(weight, ())
            if not name.startswith(prefix) or len(shape) != 2 or (weight, part) in taken or not any(word in name for word in only):
                continue
            if part and part[1] + part[2] > shape[0]:
                continue  # ComfyUI's slices of Flux's single blocks are those of the real mlp_ratio
            taken.add((weight, part))
            found[name] = (part[2] if part else shape[0], shape[1])
        return found

    def each(self, prefix, make, **only):
        return {k: w for name, (out, into) in self.modules(prefix, **only).items() for k, w in make(self, name, out, into).items()}


def kohya(m, name, out, into):
    return {
        f"{name}.lora_up.weight": m.random(out, RANK),
        f"{name}.lora_down.weight": m.random(RANK, into),
        f"{name}.alpha": torch.tensor(1.0),
    }


def peft(m, name, out, into):
    return {f"{name}.lora_A.weight": m.random(RANK, into), f"{name}.lora_B.weight": m.random(out, RANK)}


def peft_raw(m, name, out, into):
    return {f"{name}.lora_A.mine.weight": m.random(RANK, into), f"{name}.lora_B.mine.weight": m.random(out, RANK)}


def peft_bias(m, name, out, into):
    return peft(m, name, out, into) | {f"{name}.lora_B.bias": m.random(out)}


def peft_dora(m, name, out, into):
    return peft(m, name, out, into) | {f"{name}.lora_magnitude_vector": m.random(out).abs() + 0.5}


def simpletuner_dora(m, name, out, into):
    return peft(m, name, out, into) | {f"{name}.lora_magnitude_vector.weight": m.random(out).abs() + 0.5}


def kohya_dora(m, name, out, into):
    return kohya(m, name, out, into) | {f"{name}.dora_scale": m.random(out, 1).abs() + 0.5}


def loha(m, name, out, into):
    return {f"{name}.hada_w1_a": m.random(out, RANK), f"{name}.hada_w1_b": m.random(RANK, into), f"{name}.hada_w2_a": m.random(out, RANK),
            f"{name}.hada_w2_b": m.random(RANK, into), f"{name}.alpha": torch.tensor(1.0)}  # fmt: skip


def lokr(m, name, out, into):
    return {f"{name}.lokr_w1": m.random(2, 2), f"{name}.lokr_w2_a": m.random(out // 2, RANK),
            f"{name}.lokr_w2_b": m.random(RANK, into // 2), f"{name}.alpha": torch.tensor(1.0)}  # fmt: skip


def glora(m, name, out, into):
    return {f"{name}.a1.weight": m.random(into, RANK), f"{name}.a2.weight": m.random(RANK, into), f"{name}.b1.weight": m.random(out, RANK),
            f"{name}.b2.weight": m.random(RANK, into), f"{name}.alpha": torch.tensor(1.0)}  # fmt: skip


def oft(m, name, out, into):
    return {
        f"{name}.oft_blocks": m.random(4, out // 4, out // 4),
        f"{name}.rescale": 1 + m.random(out, 1),
        f"{name}.alpha": torch.tensor(0.1),
    }


def boft(m, name, out, into):
    return {f"{name}.oft_blocks": m.random(2, out // 4, 4, 4), f"{name}.rescale": 1 + m.random(out, 1), f"{name}.alpha": torch.tensor(0.1)}


def tucker(m, name, out, into):
    return kohya(m, name, out, into) | {f"{name}.lora_mid.weight": m.random(RANK, RANK, 3, 3)}


def split_bias(m, name, out, into):
    return peft(m, name, out, into) | {f"{name}.diff_b": m.random(out)}


def whole(m, name, out, into):
    return {f"{name}.diff": m.random(out, into)}


def too_wide(make):
    return lambda m, name, out, into: make(m, name, 2 * out, into)


def dora_too_wide(m, name, out, into):
    return kohya(m, name, out, into) | {f"{name}.dora_scale": m.random(2 * out, 1).abs() + 0.5}


def of_clip(m):
    shapes = {k: w.shape for k, w in m.clip.cond_stage_model.state_dict().items() if w.ndim == 2 and k.endswith(".weight")}
    return {k: w for name, (out, into) in list(shapes.items())[:4]
            for k, w in kohya(m, f"text_encoders.{name.removesuffix('.weight')}", out, into).items()}  # fmt: skip


def tucker_convolutions(m):
    """LyCORIS's LoCon and LoHa on convolutions, with a kernel of their own, beside a LoRA."""
    tensors = m.each("lora_unet_", kohya, only=CROSS)
    shapes = {name: w for name, w in m.shapes.items() if len(w) == 4 and w[2:] == (3, 3) and ".in_layers." in name}
    for n, (key, (out, into, *kernel)) in enumerate(shapes.items()):
        name = f"lora_unet_{key.removeprefix('diffusion_model.').removesuffix('.weight').replace('.', '_')}"
        if n % 2:
            tensors |= {f"{name}.lora_up.weight": m.random(out, RANK, 1, 1), f"{name}.lora_down.weight": m.random(RANK, into, 1, 1),
                        f"{name}.lora_mid.weight": m.random(RANK, RANK, *kernel), f"{name}.alpha": torch.tensor(1.0)}  # fmt: skip
        else:
            tensors |= {f"{name}.hada_{k}": m.random(*shape) for k, shape in (("t1", (RANK, RANK, *kernel)), ("t2", (RANK, RANK, *kernel)),
                        ("w1_a", (RANK, out)), ("w1_b", (RANK, into)), ("w2_a", (RANK, out)), ("w2_b", (RANK, into)))}  # fmt: skip
    return tensors


def foreign(m):
    return {k: w for n in range(3) for k, w in kohya(m, f"lora_unet_of_something_else_{n}", 8, 8).items()}


def z_image(m):
    """As musubi-tuner spells Z-Image: queries, keys and values by themselves, under kohya's prefix."""
    width, tensors = m.shapes["diffusion_model.layers.0.attention.out.weight"][0], {}
    for n in range(3):
        for name in ("to_q", "to_k", "to_v", "to_out_0"):
            tensors |= kohya(m, f"lora_unet_layers_{n}_attention_{name}", width, width)
        for name in ("w1", "w2", "w3"):
            out, into = m.shapes[f"diffusion_model.layers.{n}.feed_forward.{name}.weight"]
            tensors |= kohya(m, f"lora_unet_layers_{n}_feed_forward_{name}", out, into)
    return tensors


def unet_of_diffusers(m):
    """As diffusers has written LoRAs of U-Nets since it takes peft: without .processor, which is in ComfyUI's names."""
    names = m.modules("unet.", only=CROSS)
    return {k: w for name, shape in names.items() for k, w in peft(m, name.replace(".processor", ""), *shape).items()}


def control(m):
    """Black Forest Labs' Control LoRA: the picture's input grows."""
    (out, into) = m.shapes["diffusion_model.img_in.weight"]
    norm = next(shape for name, shape in m.shapes.items() if ".query_norm." in name)
    tensors = {
        "img_in.lora_A.weight": m.random(RANK, 2 * into),
        "img_in.lora_B.weight": m.random(out, RANK),
        "img_in.lora_B.bias": m.random(out),
    }
    for n in range(3):
        for name in ("query_norm", "key_norm"):
            tensors[f"single_blocks.{n}.norm.{name}.scale"] = 1 + m.random(*norm)
    for n in range(2):
        out, into = m.shapes[f"diffusion_model.double_blocks.{n}.img_attn.qkv.weight"]
        tensors |= peft_bias(m, f"double_blocks.{n}.img_attn.qkv", out, into)
    return tensors


def with_input(m):
    """A Fill LoRA on a model without Fill's input."""
    out, into = m.shapes["diffusion_model.img_in.weight"]
    return m.each("transformer.", peft) | peft(m, "diffusion_model.img_in", out, into + 32)


def first(tensors, ending):
    return next(k for k in tensors if k.endswith(ending))


def without_down(m):
    tensors = m.each("lora_unet_", kohya, only=CROSS)
    del tensors[first(tensors, "lora_down.weight")]
    return tensors


def without_up(m):
    tensors = m.each("lora_unet_", kohya, only=CROSS)
    del tensors[first(tensors, "lora_up.weight")]
    return tensors


def vector_alpha(m):
    tensors = m.each("lora_unet_", kohya, only=CROSS)
    return tensors | {first(tensors, ".alpha"): torch.ones(2)}


def numbers(m):
    """A pickle whose alphas are Python's numbers, as some scripts write them, and which holds more than tensors."""
    tensors = m.each("lora_unet_", kohya, only=CROSS)
    return {k: 0.5 if k.endswith("alpha") else w for k, w in tensors.items()} | {"epoch": 3, "name": "mine"}


def two_names(m):
    return m.each("transformer.", peft) | m.each("lora_transformer_", kohya)


def views(m):
    """Tensors of a pickle that are views: of one storage, and not contiguous."""
    tensors = m.each("lora_unet_", kohya, only=CROSS)
    shared = m.random(max(w.numel() for w in tensors.values()))
    return {k: w.t().contiguous().t() if k.endswith("up.weight") else shared[: w.numel()].view(w.shape) if w.ndim == 2 else w
            for k, w in tensors.items()}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """make(Maker) -> tensors; unused: how many keys, -1 for some and -2 for all; beyond: whether ComfyUI's loader leaves part of it out.

    refused: part of the message where a file cannot be used in the text layers; refused_at_1_1: where only the rest stands in the way.
    """

    file: str
    model: str
    make: object
    unused: int = 0
    beyond: bool = False
    refused: str = ""
    refused_at_1_1: str = ""
    metadata: dict = field(default_factory=dict)


def on(prefix, make, **only):
    return lambda m: m.each(prefix, make, **only)


CASES = [
    Case("kohya.safetensors", "demo unet", on("lora_unet_", kohya)),
    Case("comfyui.safetensors", "demo mmdit", on("diffusion_model.", peft)),
    Case("kohya-sdxl.safetensors", "SDXL", on("lora_unet_", kohya)),
    Case("diffusers-sdxl.safetensors", "SDXL", unet_of_diffusers, beyond=True),
    Case("diffusers-sd3.safetensors", "SD3", on("transformer.", peft)),
    Case("onetrainer-flux.safetensors", "Flux", on("lora_transformer_", kohya)),
    Case("lycoris-qwen.safetensors", "QwenImage", on("lycoris_", lokr)),
    Case("loha.safetensors", "demo unet", on("lora_unet_", loha, only=CROSS)),
    Case("lokr.safetensors", "demo mmdit", on("diffusion_model.", lokr)),
    Case("glora.safetensors", "demo unet", on("lora_unet_", glora, only=CROSS)),
    Case("oft.safetensors", "demo unet", on("lora_unet_", oft, only=CROSS)),
    Case("boft.safetensors", "demo unet", on("lora_unet_", boft, only=CROSS)),
    Case("whole-matrices.safetensors", "demo mmdit", on("diffusion_model.", whole)),
    Case("tucker.safetensors", "demo unet", tucker_convolutions),
    Case("kohya-dora.safetensors", "demo unet", on("lora_unet_", kohya_dora, only=CROSS)),
    Case("peft-dora-flux.safetensors", "Flux", on("transformer.", peft_dora), beyond=True),
    Case("simpletuner-dora-qwen.safetensors", "QwenImage", on("transformer.", simpletuner_dora), beyond=True),
    Case("peft-bias-flux.safetensors", "Flux", on("transformer.", peft_bias), beyond=True),
    Case("peft-adapter-name-flux.safetensors", "Flux", on("transformer.", peft_raw), beyond=True),
    Case("split-bias-flux.safetensors", "Flux", on("transformer.", split_bias, only=("to_q", "to_k", "to_v")), beyond=True),
    Case("musubi-z-image.safetensors", "ZImage", z_image, beyond=True),
    Case("control-flux.safetensors", "Flux", control),
    Case("foreign-mixed-in.safetensors", "demo mmdit", lambda m: m.each("diffusion_model.", peft) | foreign(m), unused=9),
    Case("two-names-sd3.safetensors", "SD3", two_names, unused=-1),
    Case("text-encoder.safetensors", "demo unet", lambda m: m.each("lora_unet_", kohya, only=CROSS) | of_clip(m)),
    Case("other-text-encoder.safetensors", "demo unet",
         lambda m: m.each("lora_unet_", kohya, only=CROSS) | kohya(m, "lora_te1_text_model_encoder_layers_0_mlp_fc1", 8, 8), unused=3),
    Case("number-as-alpha.pt", "demo unet", numbers, unused=2),
    Case("views.pt", "demo unet", views),
    Case("large-metadata.safetensors", "demo unet", on("lora_unet_", kohya, only=CROSS),
         metadata={"modelspec.architecture": "x" * 2_000_000, "ss_tag_frequency": json.dumps(["tag"] * 100_000)}),
    Case("fill-input.safetensors", "Flux", with_input, unused=2, refused_at_1_1="img_in"),
    Case("missing-down.safetensors", "demo unet", without_down, unused=2, refused_at_1_1="lora_down.weight is missing"),
    Case("missing-up.safetensors", "demo unet", without_up, unused=2),
    Case("vector-alpha.safetensors", "demo unet", vector_alpha, unused=3, refused_at_1_1="its alpha holds 2 numbers"),
    Case("wide-lora.safetensors", "demo unet", on("lora_unet_", too_wide(kohya), only=CROSS), unused=-2, refused="the weight is"),
    Case("wide-oft.safetensors", "demo unet", on("lora_unet_", too_wide(oft), only=CROSS), unused=-2, refused="the weight is"),
    Case("wide-boft.safetensors", "demo unet", on("lora_unet_", too_wide(boft), only=CROSS), unused=-2, refused="the weight is"),
    Case("wide-glora.safetensors", "demo unet", on("lora_unet_", too_wide(glora), only=CROSS), unused=-2, refused="the weight is"),
    Case("wide-dora.safetensors", "demo unet", on("lora_unet_", dora_too_wide, only=CROSS), unused=-2, refused="the weight is"),
    Case("wide-peft-dora.safetensors", "Flux", on("transformer.", too_wide(peft_dora)), unused=-2, refused="the weight is"),
    Case("wide-tucker.safetensors", "demo unet", on("lora_unet_", tucker, only=CROSS), unused=-2, refused="the weight is"),
]  # fmt: skip


def write(folder, cases=CASES):
    """The files and models.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        model, clip, _ = model_of(case.model)
        tensors = case.make(Maker(model, clip, seed=CASES.index(case)))
        if case.file.endswith(".pt"):
            torch.save(tensors, folder / case.file)
        else:
            save_file(tensors, folder / case.file, case.metadata or None)
    (folder / "models.tsv").write_text("".join(f"{case.file}\t{case.model}\n" for case in cases), "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
