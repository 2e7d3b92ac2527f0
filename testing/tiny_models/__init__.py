"""Tiny random models of ComfyUI's own classes, one file a family as in patching/adapters; a file that is here is used.

MODELS    all of them, also the text-to-image classes that cannot be served, with the reason
WITHOUT   all other classes of ComfyUI, with the reason
NEWER     those of ComfyUIs that came after 0.30
NEWER_WITHOUT   of these, the classes that have no text layers
"""

from importlib import import_module
from pathlib import Path

from .model import TinyModel
from .newer import NEWER
from .without import NEWER_WITHOUT, WITHOUT

__all__ = ["MODELS", "NEWER", "NEWER_WITHOUT", "WITHOUT", "TinyModel"]

_FILES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__init__", "model", "newer", "without"))

MODELS = [model for name in _FILES for model in import_module(f".{name}", __name__).MODELS]
