"""One file a family: where its text layers are.

FAMILIES    all of them; a model belongs to the first that owns it
"""

from . import flux, mmdit, pixart, unet

FAMILIES = tuple(adapter.FAMILY for adapter in (unet, mmdit, flux, pixart))
