"""The node that trains a LoRA on the text layers."""

import comfy.utils
import folder_paths
from comfy_api.latest import io
from PIL import Image

from ..lora import storage
from ..lora.files import read
from ..lora.train import Settings, train
from ..scoring.charts import loss_chart
from .comfy_compat import FIXED_SEED, aliases
from .live import say, seldom
from .lora import lora_path
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
            "Connect Save LoRA Weights.",
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
                io.Int.Input("batch_size", default=1, min=1, max=4096, tooltip="Pictures in one step, evaluated one after another."),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, **FIXED_SEED, tooltip="Of first weights, noise and order."),
                io.Combo.Input("training_dtype", options=["bf16", "fp32"], tooltip="The model computes in it; the LoRA is fp32."),
                io.Combo.Input(
                    "resume",
                    options=[_NEW, *folder_paths.get_filename_list("loras")],
                    tooltip="A LoRA of the same layers and rank to go on with.",
                ),
            ],
            outputs=[
                io.Custom("LORA_MODEL").Output(display_name="lora", tooltip="For Save LoRA Weights or Load LoRA Model."),
                io.Custom("LOSS_MAP").Output(display_name="loss_map", tooltip="For Plot Loss Graph."),
                io.Int.Output(display_name="steps", tooltip="Steps that were trained."),
            ],
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, model, latents, positive, text_layers, rank, alpha, learning_rate, steps, batch_size, seed, training_dtype, resume):
        pictures = [picture for latent in latents for picture in latent["samples"]]
        settings = Settings(
            rank[0], alpha[0], learning_rate[0], steps[0], batch_size[0], seed[0], low_precision=training_dtype[0] == "bf16"
        )
        start = None if resume[0] == _NEW else read(lora_path(resume[0])).tensors
        node = cls.hidden.unique_id
        bar, due = comfy.utils.ProgressBar(settings.steps, node_id=node), seldom()

        def tell(losses):
            preview = None
            if due():
                preview = ("JPEG", Image.fromarray(loss_chart(losses, settings.steps)), 512)
                say(node, f"step {len(losses)} of {settings.steps}, loss {sum(losses[-20:]) / len(losses[-20:]):.4f}")
            bar.update_absolute(len(losses), settings.steps, preview)

        def keep(tensors):
            say(node, f"Cut short. What was trained is in {storage.save(tensors, 'interrupted').name}: choose it under resume to go on.")

        trained = train(model[0], pictures, positive, text_layers[0], settings, start, tell, keep)
        last = trained.losses[-max(1, settings.steps // 10) :]
        size = sum(t.numel() for t in trained.tensors.values())
        text = f"{len(trained.losses)} steps, mean loss of the last tenth {sum(last) / len(last):.4f}. {size:,} numbers in the LoRA."
        return io.NodeOutput(trained.tensors, {"loss": trained.losses}, len(trained.losses), ui=show(cls, text))
