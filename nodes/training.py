"""The node that trains a LoRA on the text layers."""

import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image

from ..lora import storage
from ..lora.files import read
from ..lora.train import Settings, recent, train
from ..scoring.charts import loss_chart
from ..scoring.image import pixels
from .checked import checked
from .comfy_compat import ADVANCED, FIXED_SEED, aliases
from .live import number, say, seldom
from .lora import lora_path, version
from .text_layers import CATEGORY, TextLayersSocket, show

_NEW = "none: begin anew"


class TrainLocalizedLora(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersTrainLora",
            display_name="Train Localized LoRA",
            category=CATEGORY,
            description="Trains a LoRA in the text layers alone: better drawn words, a small file, and the rest of the model as it was. "
            "Connect Save Localized LoRA.",
            **aliases("train lora", "fine-tune text", "text lora", "lora training"),
            is_input_list=True,
            inputs=[
                io.Model.Input("model", tooltip="The model to train on. It stays as it is."),
                io.Latent.Input("latents", tooltip="The pictures, through VAE Encode or Make Training Dataset. Sizes may differ."),
                io.Conditioning.Input("positive", tooltip="The prompt of each picture, or one for all."),
                TextLayersSocket.Input("text_layers", tooltip="The layers that are trained."),
                io.Int.Input("rank", default=4, min=1, max=1024, tooltip="Of the LoRA. The paper takes 4 for SD3 and 64 for SDXL."),
                io.Float.Input("alpha", default=4.0, min=0.01, max=4096.0, step=0.01, tooltip="The LoRA counts alpha / rank."),
                io.Float.Input(
                    "learning_rate",
                    default=1e-4,
                    min=1e-8,
                    max=1.0,
                    step=1e-8,
                    tooltip="The paper takes 1e-4 for SD3, 1e-6 for SDXL.",
                ),
                io.Int.Input("steps", default=500, min=1, max=1000000, tooltip="Steps of the optimizer."),
                io.Int.Input("batch_size", default=1, min=1, max=4096, tooltip="Pictures in one step."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, **FIXED_SEED, tooltip="Of first weights, noise and order."),
                io.Combo.Input("training_dtype", options=["bf16", "fp32"], tooltip="The model computes in it; the LoRA is fp32."),
                io.Combo.Input(
                    "resume",
                    options=[_NEW, *folder_paths.get_filename_list("loras")],
                    tooltip="A LoRA of the same layers and rank to go on with.",
                ),
                io.Boolean.Input(
                    "gradient_checkpointing",
                    default=False,
                    tooltip="Less memory for more time: blocks are computed again for the backward pass. Where it is off, it is still "
                    "done if the card has no room otherwise.",
                ),
                io.Int.Input(
                    "preview_every",
                    default=100,
                    min=1,
                    max=1000000,
                    tooltip="Steps between two pictures of the first prompt, where a VAE is connected.",
                    **ADVANCED,
                ),
                io.Vae.Input("vae", optional=True, tooltip="Draws pictures of the first prompt while it trains."),
            ],
            outputs=[
                io.Custom("LORA_MODEL").Output(display_name="lora", tooltip="For Save Localized LoRA or Load LoRA Model."),
                io.Custom("LOSS_MAP").Output(display_name="loss_map", tooltip="For Plot Loss Graph."),
                io.Int.Output(display_name="steps", tooltip="Steps that were trained."),
                io.Image.Output(display_name="previews", tooltip="The pictures of the first prompt, where a VAE is connected."),
            ],
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, resume, **others):
        (name,) = resume
        return None if name == _NEW else version(name)

    @classmethod
    @checked
    def execute(
        cls,
        model,
        latents,
        positive,
        text_layers,
        rank,
        alpha,
        learning_rate,
        steps,
        batch_size,
        seed,
        training_dtype,
        resume,
        gradient_checkpointing,
        preview_every,
        vae=None,
    ):
        pictures = [picture for latent in latents for picture in latent["samples"]]
        settings = Settings(
            rank[0],
            alpha[0],
            learning_rate[0],
            steps[0],
            batch_size[0],
            seed[0],
            low_precision=training_dtype[0] == "bf16",
            checkpointing=gradient_checkpointing[0] or None,
        )
        start = None if resume[0] == _NEW else read(lora_path(resume[0]))
        live = _Live(number(cls), settings.steps, vae and vae[0], preview_every[0])

        def keep(lora):
            live.say(f"Cut short. What was trained is in {storage.save(lora, 'loras/interrupted').name}: choose it under resume to go on.")

        trained = train(model[0], pictures, positive, text_layers[0], settings, start, live, keep)
        last = trained.losses[-max(1, settings.steps // 10) :]
        size = sum(t.numel() for t in trained.tensors.values())
        text = f"{len(trained.losses)} steps, mean loss of the last tenth {sum(last) / len(last):.4f}. {size:,} numbers in the LoRA."
        text = f"{text} {trained.room}".rstrip()
        previews = torch.cat(live.pictures) if live.pictures else ExecutionBlocker("Connect a VAE to Train Localized LoRA for previews.")
        return io.NodeOutput(trained.tensors, {"loss": trained.losses}, len(trained.losses), previews, ui=show(text))


class _Live:
    """Called after each step: shows the losses and, every so many steps, what the model draws."""

    def __init__(self, node, steps, vae, every):
        self.pictures = []
        self._node, self._steps, self._vae, self._every = node, steps, vae, every
        self._bar, self._due = comfy.utils.ProgressBar(steps, node_id=node), seldom()

    def say(self, text):
        say(self._node, text)

    def __call__(self, losses, draw):
        preview = None
        if self._vae and len(losses) % self._every == 0:
            drawn = self._vae.decode(draw()).cpu()
            self.pictures.append(drawn.reshape(-1, *drawn.shape[-3:])[..., :3])
        if self._due():
            last = pixels(self.pictures[-1])[0] if self.pictures else None
            preview = ("JPEG", Image.fromarray(loss_chart(losses, self._steps, last)), 512)
            self.say(f"step {len(losses)} of {self._steps}, loss {recent(losses):.4f}")
        self._bar.update_absolute(len(losses), self._steps, preview)
