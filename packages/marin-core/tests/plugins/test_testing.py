from typing import Protocol, runtime_checkable

import pytest

from marin.plugins.errors import BrokenPluginError, PluginRequirementError, UnknownPluginError
from marin.plugins.testing import ConformanceError, check_plugin, require, require_instance, write_distribution

GROUP = "marin.rl.losses"


@runtime_checkable
class Loss(Protocol):
    def loss(self) -> float: ...


SOURCE = "class Acme:\n    def loss(self): return 0.5\nLOSS = Acme()"


@pytest.fixture
def give(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def give(module, source, **options):
        points = {GROUP: {"acme": f"{module}:LOSS"}}
        write_distribution(tmp_path, "acme", entry_points=points, modules={f"{module}.py": source}, **options)

    return give


def test_a_good_plugin_is_returned(give):
    give("acme_kit_good", SOURCE)
    assert check_plugin(GROUP, "acme", Loss).loss() == 0.5


def test_a_plugin_that_is_imported_before_it_is_loaded_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    # A module that the registry itself imports stands for one that a hook of its distribution imports at start.
    write_distribution(tmp_path, "acme", entry_points={GROUP: {"acme": "packaging.version:Version"}})
    with pytest.raises(ConformanceError, match=r"imports packaging\.version; only loading 'acme' may"):
        check_plugin(GROUP, "acme", Loss)


def test_other_faults_are_those_of_the_registry(give):
    with pytest.raises(UnknownPluginError):
        check_plugin(GROUP, "acme", Loss)
    give("acme_kit_needy", SOURCE, requires=["acme-absent"])
    with pytest.raises(PluginRequirementError):
        check_plugin(GROUP, "acme", Loss)


def test_a_plugin_of_another_kind_is_refused(give):
    give("acme_kit_poor", "LOSS = 1")
    with pytest.raises(BrokenPluginError, match="it lacks loss"):
        check_plugin(GROUP, "acme", Loss)


def test_require_raises_its_message():
    require(True, "holds")
    with pytest.raises(ConformanceError, match=r"^must hold$"):
        require(False, "must hold")


def test_require_instance_says_what_came():
    require_instance(3, int, "open('x')")
    with pytest.raises(ConformanceError, match=r"^open\('x'\) gives 3, which is not a str$"):
        require_instance(3, str, "open('x')")
