from marin_shout.engine import BACKEND

from marin.generation.engines import SamplingConfig
from marin.generation.testing import check_generation_backend


def test_it_conforms():
    check_generation_backend("shout", model="capitals")


def test_it_shouts():
    [completion] = BACKEND.open("capitals").generate(["hear, hear"], SamplingConfig())
    assert completion.text == "HEAR, HEAR"
