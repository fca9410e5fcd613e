import logging
import pickle
import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest

from marin.plugins.errors import (
    BrokenPluginError,
    DuplicatePluginError,
    PluginRequirementError,
    PluginVersionError,
    UnknownPluginError,
)
from marin.plugins.registry import list_plugins, load_plugin, plugin_names
from marin.plugins.testing import write_distribution

GROUP = "marin.rl.losses"


@runtime_checkable
class Loss(Protocol):
    def loss(self, reward: float) -> float: ...


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder on `sys.path`, for distributions that last for the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def add(site, name="acme-losses", value="acme_losses:LOSS", *, plugin="acme", group=GROUP, **options):
    write_distribution(site, name, entry_points={group: {plugin: value}}, **options)


def one(plugin="acme", group=GROUP):
    [found] = [info for info in list_plugins(group) if info.name == plugin]
    return found


def test_a_plugin_is_listed_with_what_its_metadata_says(site):
    add(site, "Acme_Losses", "acme_losses.grpo:LOSS [jax, lm-eval]", version="1.5", extras=["jax", "lm-eval"])
    info = one()
    assert (info.group, info.name, info.distribution, info.version) == (GROUP, "acme", "acme-losses", "1.5")
    assert (info.value, info.module, info.extras) == ("acme_losses.grpo:LOSS", "acme_losses.grpo", ("jax", "lm-eval"))
    assert info.problem() is None
    assert "acme" in plugin_names(GROUP)


def test_listing_is_sorted_and_covers_all_groups(site):
    write_distribution(site, "acme", entry_points={"marin.rl.policies": {"b": "m:x", "a": "m:x"}, GROUP: {"z": "m:x"}})
    acme = [(info.group, info.name) for info in list_plugins() if info.distribution == "acme"]
    assert acme == [(GROUP, "z"), ("marin.rl.policies", "a"), ("marin.rl.policies", "b")]


def test_a_plugin_is_imported_when_it_is_loaded_and_not_before(site):
    add(site, value="acme_lazy:LOSS", modules={"acme_lazy.py": "LOSS = 'loaded'"})
    assert one().problem() is None
    assert "acme_lazy" not in sys.modules
    assert load_plugin(GROUP, "acme") == "loaded"


def test_a_plugin_may_be_a_module_or_a_nested_attribute(site):
    add(site, "acme-one", "acme_shape", plugin="module", modules={"acme_shape.py": "class A:\n    B = 'nested'"})
    add(site, "acme-two", "acme_shape:A.B", plugin="nested")
    assert load_plugin(GROUP, "module") is sys.modules["acme_shape"]
    assert load_plugin(GROUP, "nested") == "nested"


# Unknown name


def test_an_unknown_name_lists_near_matches_and_all_names(site):
    add(site)
    with pytest.raises(UnknownPluginError) as caught:
        load_plugin(GROUP, "acne")
    assert str(caught.value).startswith("unknown loss 'acne'; did you mean 'acme'? Installed: acme")
    assert caught.value.exit_code == 2


def test_an_unknown_name_without_near_matches_still_lists_the_names():
    with pytest.raises(UnknownPluginError, match=r"^unknown policy 'zzz'\. Installed: "):
        load_plugin("marin.rl.policies", "zzz")


def test_a_name_of_ours_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent)])
    with pytest.raises(UnknownPluginError) as caught:
        load_plugin("marin.classifiers", "fasttext")
    command = "uv pip install 'marin-classifiers[fasttext]'"
    assert str(caught.value) == f"classifier 'fasttext' is not installed; install with: {command}"
    assert caught.value.install_command == command
    with pytest.raises(UnknownPluginError) as caught:
        load_plugin("marin.classifiers", "fastext")
    assert "did you mean 'fasttext'?" in str(caught.value)
    assert f"Not installed: fasttext ({command}), length (uv pip install marin-classifiers)." in str(caught.value)


def test_an_unknown_group_lists_the_groups():
    for call in (list_plugins, plugin_names, lambda group: load_plugin(group, "acme")):
        with pytest.raises(UnknownPluginError) as caught:
            call("marin.clasifiers")
        assert str(caught.value).startswith("unknown plug-in group 'marin.clasifiers'; did you mean marin.classifiers?")
        assert "marin.rl.policies" in str(caught.value)


def test_a_plugin_in_a_misspelt_group_is_listed_with_its_problem(site):
    add(site, group="marin.rl.loses")
    [info] = [info for info in list_plugins() if info.name == "acme"]
    problem = info.problem()
    assert isinstance(problem, UnknownPluginError)
    assert "'acme' of acme-losses 1.0: unknown plug-in group 'marin.rl.loses'; did you mean marin.rl.losses?" in str(
        problem
    )


# Two distributions, one name


def test_two_distributions_with_one_name_are_an_error_that_names_both(site):
    add(site, "acme-one", plugin="same")
    add(site, "acme-two", plugin="same", version="2.0")
    add(site, "acme-three", "acme_fine:LOSS", plugin="other", modules={"acme_fine.py": "LOSS = 1"})
    with pytest.raises(DuplicatePluginError) as caught:
        load_plugin(GROUP, "same")
    assert str(caught.value) == ("loss 'same' is given by acme-one 1.0 and acme-two 2.0; uninstall all of them but one")
    assert caught.value.exit_code == 2
    assert [info.distribution for info in list_plugins(GROUP) if info.name == "same"] == ["acme-one", "acme-two"]
    assert load_plugin(GROUP, "other") == 1


def test_a_distribution_found_twice_is_no_duplicate_and_the_first_copy_counts(site, tmp_path, monkeypatch):
    add(site, "acme-losses", version="1.0")
    editable = tmp_path / "editable"
    add(editable, "Acme.Losses", version="1.1")
    monkeypatch.syspath_prepend(editable)
    info = one()
    assert (info.version, info.problem()) == ("1.1", None)


def test_a_plugin_that_the_first_copy_no_longer_gives_is_not_listed(site, tmp_path, monkeypatch):
    add(site, "acme-losses", version="1.0")
    newer = tmp_path / "newer"
    write_distribution(newer, "acme-losses", version="2.0", entry_points={})
    monkeypatch.syspath_prepend(newer)
    assert "acme" not in plugin_names(GROUP)


# What it needs is not installed


def test_a_missing_library_names_the_install_command(site):
    add(
        site,
        value="acme_needy:LOSS [jax]",
        requires=["acme-absent>=2; extra == 'jax'"],
        extras=["jax"],
        modules={"acme_needy.py": "raise AssertionError('imported before its requirements were checked')"},
    )
    with pytest.raises(PluginRequirementError) as caught:
        load_plugin(GROUP, "acme")
    command = "uv pip install 'acme-losses[jax]'"
    assert str(caught.value) == (
        f"loss 'acme' of acme-losses 1.0 needs acme-absent>=2, which is not installed; install with: {command}"
    )
    assert caught.value.install_command == command
    assert caught.value.exit_code == 3


def test_a_version_conflict_says_what_is_wanted_and_found(site):
    write_distribution(site, "acme-lib", version="1.4", entry_points={})
    add(site, requires=["acme-lib>=2,<3"])
    with pytest.raises(PluginVersionError) as caught:
        load_plugin(GROUP, "acme")
    assert str(caught.value) == (
        "loss 'acme' of acme-losses 1.0 wants acme-lib<3,>=2 (found 1.4); install with: uv pip install acme-losses"
    )
    assert caught.value.exit_code == 3


def test_errors_survive_the_way_to_another_process(site):
    add(site, requires=["acme-absent"])
    error = pickle.loads(pickle.dumps(one().problem()))
    assert isinstance(error, PluginRequirementError)
    assert error.install_command == "uv pip install acme-losses"


# Broken


def test_a_plugin_that_fails_to_import_keeps_the_original_error(site):
    add(site, value="acme_broken:LOSS", modules={"acme_broken.py": "import acme_that_nobody_has"})
    assert one().problem() is None
    with pytest.raises(BrokenPluginError) as caught:
        load_plugin(GROUP, "acme")
    assert str(caught.value) == (
        "loss 'acme' of acme-losses 1.0 (acme_broken:LOSS) cannot be imported: "
        "ModuleNotFoundError: No module named 'acme_that_nobody_has'"
    )
    cause = caught.value.__cause__
    assert isinstance(cause, ModuleNotFoundError)
    assert cause.__traceback__ is not None
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("source", "cause"),
    [("1 / 0", ZeroDivisionError), ("def", SyntaxError), ("raise SystemExit(0)", SystemExit), ("", AttributeError)],
)
def test_whatever_an_import_raises_is_a_broken_plugin(site, source, cause):
    module = f"acme_{cause.__name__.lower()}"
    add(site, value=f"{module}:LOSS", modules={f"{module}.py": source})
    with pytest.raises(BrokenPluginError, match=cause.__name__) as caught:
        load_plugin(GROUP, "acme")
    assert isinstance(caught.value.__cause__, cause)


@pytest.mark.parametrize("value", ["not a module", "acme:LOSS [jax", ":LOSS", "acme:a:b"])
def test_a_malformed_entry_point_is_listed_with_its_problem(site, value):
    add(site, value=value)
    problem = one().problem()
    assert isinstance(problem, BrokenPluginError)
    assert value in str(problem)
    with pytest.raises(BrokenPluginError):
        load_plugin(GROUP, "acme")


def test_an_extra_that_the_distribution_lacks_is_named(site):
    add(site, value="acme_losses:LOSS [jaxx]", extras=["jax"])
    problem = one().problem()
    assert isinstance(problem, BrokenPluginError)
    assert str(problem) == "loss 'acme' of acme-losses 1.0 needs the extra 'jaxx', which acme-losses lacks"


def test_requirements_that_cannot_be_read_are_a_broken_plugin(site):
    add(site, requires=["not a requirement"])
    problem = one().problem()
    assert isinstance(problem, BrokenPluginError)
    assert problem.__cause__ is not None


def test_unreadable_metadata_does_not_hide_the_other_plugins(site, caplog):
    add(site)
    malformed = site / "acme_malformed-1.0.dist-info"
    malformed.mkdir()
    (malformed / "METADATA").write_text("Metadata-Version: 2.4\nName: acme-malformed\nVersion: 1.0\n")
    (malformed / "entry_points.txt").write_text(f"[{GROUP}]\nno value here\n")
    for name in ("acme_nameless", "acme_binary"):
        (site / f"{name}-1.0.dist-info").mkdir()
    (site / "acme_nameless-1.0.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\nx = y:z\n")
    (site / "acme_binary-1.0.dist-info" / "entry_points.txt").write_bytes(b"[marin.rl.losses]\n\xff = \xfe\n")
    with caplog.at_level(logging.WARNING, logger="marin.plugins.registry"):
        names = plugin_names(GROUP)
    assert "acme" in names
    assert "x" not in names
    assert "acme-malformed" in caplog.text


# Of another kind


def test_the_kind_is_checked_and_what_is_lacking_named(site):
    source = "class Fine:\n    def loss(self, reward): return -reward\nFINE = Fine()\nPOOR = object()"
    add(site, "acme-fine", "acme_kinds:FINE", plugin="fine", modules={"acme_kinds.py": source})
    add(site, "acme-poor", "acme_kinds:POOR", plugin="poor")
    add(site, "acme-class", "acme_kinds:Fine", plugin="class")
    assert load_plugin(GROUP, "fine", kind=Loss).loss(2.0) == -2.0
    with pytest.raises(BrokenPluginError, match=r"'poor' of acme-poor 1.0 .* does not satisfy Loss: it lacks loss$"):
        load_plugin(GROUP, "poor", kind=Loss)
    with pytest.raises(BrokenPluginError, match="it is the class Fine; an instance is asked for"):
        load_plugin(GROUP, "class", kind=Loss)
    with pytest.raises(BrokenPluginError, match="does not satisfy Path: it is <"):
        load_plugin(GROUP, "poor", kind=Path)
