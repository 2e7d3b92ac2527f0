"""The node that trains a LoRA on the text layers."""

import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image

from ..lora.files import read
from ..lora.keeping import of_graph, unfinished
from ..lora.optimizer import OPTIMIZERS, SCHEDULES
from ..lora.state import read as read_training
from ..lora.train import Settings, recent, train
from ..lora.validation import encoded, of_words
from ..patching.paths import stamp
from ..scoring.charts import loss_chart
from ..scoring.image import pixels
from ..scoring.ocr import ENGINES
from .checked import checked
from .comfy_compat import ADVANCED, FIXED_SEED, SAYS, aliases
from .inputs import entries
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
            category=f"{CATEGORY}/LoRA",
            description="Trains a LoRA in the text layers alone: better drawn words, a small file, and the rest of the model as it was. "
            "Connect Save Localized LoRA.",
            **aliases("train lora", "fine-tune text", "text lora", "lora training", "spelling"),
            is_input_list=True,
            inputs=[
                io.Model.Input("model", tooltip="The model to train on. It stays as it is."),
                io.Latent.Input("latents", tooltip="The pictures, through VAE Encode or Make Training Dataset. Sizes may differ."),
                io.Conditioning.Input("positive", tooltip="The prompt of each picture, or one for all."),
                TextLayersSocket.Input("text_layers", tooltip="The layers that are trained."),
                io.Int.Input("rank", default=4, min=1, max=1024, tooltip="Of the LoRA. The paper takes 4 for SD3 and 64 for SDXL."),
                io.Float.Input(
                    "alpha", default=0.0, min=0.0, max=4096.0, step=0.01, tooltip="The LoRA counts alpha / rank. 0: as the rank."
                ),
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
                    options=[_NEW, *unfinished(), *folder_paths.get_filename_list("loras")],
                    tooltip="A training that was cut short, which goes on to its last step as if nothing had been; or a LoRA of the same "
                    "layers and rank, which is trained for steps more.",
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
                io.Int.Input(
                    "save_every",
                    default=50,
                    min=1,
                    max=1000000,
                    optional=True,
                    tooltip="Steps after which the training is saved, so that it can go on whatever happens.",
                    **ADVANCED,
                ),
                io.Int.Input(
                    "accumulation",
                    default=1,
                    min=1,
                    max=4096,
                    optional=True,
                    tooltip="Batches that make one step: a large batch in the memory of a small one.",
                    **ADVANCED,
                ),
                io.Combo.Input(
                    "schedule",
                    options=list(SCHEDULES),
                    optional=True,
                    tooltip="Of the learning rate: it stays, or falls to zero at the last step.",
                    **ADVANCED,
                ),
                io.Int.Input(
                    "warmup",
                    default=0,
                    min=0,
                    max=1000000,
                    optional=True,
                    tooltip="Steps in which the learning rate rises from zero.",
                    **ADVANCED,
                ),
                io.Float.Input(
                    "max_gradient",
                    default=1.0,
                    min=0.0,
                    max=1000000.0,
                    step=0.01,
                    optional=True,
                    tooltip="The largest norm of the gradient, so that one odd picture spoils nothing. 0: any.",
                    **ADVANCED,
                ),
                io.Combo.Input(
                    "optimizer",
                    options=list(OPTIMIZERS),
                    optional=True,
                    tooltip="In 8 bits, moments of matrices of 4,096 numbers and more take a quarter of the memory; it needs bitsandbytes.",
                    **ADVANCED,
                ),
                io.Float.Input(
                    "caption_dropout",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="Share of the pictures that come without their caption, for guidance. Needs clip.",
                    **ADVANCED,
                ),
                io.Clip.Input(
                    "clip", optional=True, tooltip="Encodes the prompts of the validation and, for caption_dropout, the empty one."
                ),
                io.String.Input(
                    "validation_words",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="Words that are in none of the pictures: they are drawn and read while it trains, and the LoRA that is read "
                    "best comes out. Needs clip and vae. Empty: no validation.",
                    **ADVANCED,
                ),
                io.String.Input(
                    "validation_prompt",
                    default='a sign that says "WORD"',
                    optional=True,
                    tooltip="The prompt in which WORD stands for each of them.",
                    **ADVANCED,
                ),
                io.Int.Input(
                    "validate_every",
                    default=100,
                    min=1,
                    max=1000000,
                    optional=True,
                    tooltip="Steps between two readings.",
                    **ADVANCED,
                ),
                io.Float.Input(
                    "validation_cfg",
                    default=5.0,
                    min=1.0,
                    max=100.0,
                    step=0.1,
                    optional=True,
                    tooltip="The guidance with which you will sample.",
                    **ADVANCED,
                ),
                io.Int.Input(
                    "patience",
                    default=0,
                    min=0,
                    max=1000000,
                    optional=True,
                    tooltip="The training ends after so many readings without a better one. 0: never.",
                    **ADVANCED,
                ),
                io.Combo.Input("ocr", options=list(ENGINES), optional=True, tooltip="What reads the drawn words.", **ADVANCED),
            ],
            outputs=[
                io.Custom("LORA_MODEL").Output(display_name="lora", tooltip="For Save Localized LoRA or Load LoRA Model."),
                io.Custom("LOSS_MAP").Output(display_name="loss_map", tooltip="For Plot Loss Graph."),
                io.Int.Output(display_name="steps", tooltip="Steps that were trained."),
                io.Image.Output(display_name="previews", tooltip="The pictures of the first prompt, where a VAE is connected."),
            ],
            **SAYS,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, resume, **others):
        (name,) = resume
        return None if name == _NEW else stamp(unfinished()[name]) if name in unfinished() else version(name)

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
        save_every=(50,),
        accumulation=(1,),
        schedule=SCHEDULES,
        warmup=(0,),
        max_gradient=(1.0,),
        optimizer=OPTIMIZERS,
        caption_dropout=(0.0,),
        clip=None,
        validation_words=("",),
        validation_prompt=('a sign that says "WORD"',),
        validate_every=(100,),
        validation_cfg=(5.0,),
        patience=(0,),
        ocr=tuple(ENGINES),
    ):
        pictures = [picture for latent in latents for picture in latent["samples"]]
        settings = Settings(
            rank[0],
            alpha[0] or None,
            learning_rate[0],
            steps[0],
            batch_size[0],
            seed[0],
            low_precision=training_dtype[0] == "bf16",
            checkpointing=gradient_checkpointing[0] or None,
            accumulation=accumulation[0],
            schedule=schedule[0],
            warmup=warmup[0],
            clip=max_gradient[0],
            optimizer=optimizer[0],
            caption_dropout=caption_dropout[0],
        )
        words, encoder = entries(validation_words[0]), clip and clip[0]
        if settings.caption_dropout and encoder is None:
            raise ValueError("caption_dropout needs the input clip: connect the CLIP of the model.")
        empty = encoded(encoder, "") if encoder is not None else None
        validation = None
        if words:
            how = (validate_every[0], validation_cfg[0], patience[0], settings.seed)
            validation = of_words(words, validation_prompt[0], encoder, vae and vae[0], ocr[0], *how)
        live = _Live(number(cls), settings.steps, vae and vae[0], preview_every[0], validation)
        keep = of_graph(save_every[0], live.say)
        trained = train(
            model[0], pictures, positive, text_layers[0], settings, _start(resume[0]), live, keep, empty=empty, validation=validation
        )
        last = trained.losses[-max(1, settings.steps // 10) :]
        size = sum(t.numel() for t in trained.tensors.values())
        text = f"{len(trained.losses)} steps, mean loss of the last tenth {sum(last) / len(last):.4f}. {size:,} numbers in the LoRA."
        kept = f"The training is kept in {keep.where()}, to go on with under resume." if keep.state else "The training could not be kept."
        text = "\n".join(filter(None, [text, *trained.notes, *live.said, kept, str(trained.room)]))
        previews = torch.cat(live.pictures) if live.pictures else ExecutionBlocker("Connect a VAE to Train Localized LoRA for previews.")
        return io.NodeOutput(trained.tensors, {"loss": trained.losses}, len(trained.losses), previews, ui=show(text))


def _start(resume):
    if resume == _NEW:
        return None
    trainings = unfinished()
    return read_training(trainings[resume]) if resume in trainings else read(lora_path(resume))


class _Live:
    """Called after each step: shows the losses and, every so many steps, what the model draws."""

    def __init__(self, node, steps, vae, every, validation):
        self.pictures, self.said = [], []
        self._node, self._steps, self._vae, self._every, self._validation = node, steps, vae, every, validation
        self._bar, self._due = comfy.utils.ProgressBar(steps, node_id=node), seldom()

    def say(self, text):
        """Also in the end, where it matters then: the line on the node is overwritten by the next one."""
        self.said.append(text)
        say(self._node, text)

    def __call__(self, losses, draw):
        preview = None
        if self._vae and len(losses) % self._every == 0:
            drawn = self._vae.decode(draw()).cpu()
            self.pictures.append(drawn.reshape(-1, *drawn.shape[-3:])[..., :3])
        if self._due():
            last = pixels(self.pictures[-1])[0] if self.pictures else self._validation and self._validation.picture
            marks = self._validation.marks() if self._validation else ()
            preview = ("JPEG", Image.fromarray(loss_chart(losses, self._steps, last, marks)), 512)
            say(self._node, f"step {len(losses)} of {self._steps}, loss {recent(losses):.4f}")
        self._bar.update_absolute(len(losses), self._steps, preview)
