"""The engine that reads the demo models' pictures."""

import pytest
from text_layers.scoring.ocr import engine


@pytest.fixture(scope="module")
def ocr():
    return engine("RapidOCR")
