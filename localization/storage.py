"""Where a search keeps its cells in a ComfyUI: below the user folder, which, unlike the temp folder, is there after a restart."""

from pathlib import Path

import folder_paths

from .cells import tidy


def folder():
    place = Path(folder_paths.get_user_directory()) / "text_layers" / "cells"
    tidy(place)
    return place
