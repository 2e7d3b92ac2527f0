"""Text Layers for ComfyUI: find and use the few attention layers that decide which words a text-to-image model draws."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from .nodes import TextLayersExtension

    return TextLayersExtension()
