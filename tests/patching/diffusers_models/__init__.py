"""Families whose models diffusers has as well."""

from . import cross_attention, flux, joint_attention

PAIRS = cross_attention.PAIRS + flux.PAIRS + joint_attention.PAIRS
