import pytest

from marin.plugins.requirements import unknown_extras, unmet_requirements
from marin.plugins.testing import write_distribution


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a distribution that lasts for the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, *, version="1.0", requires=(), extras=()):
        write_distribution(tmp_path, name, version=version, entry_points={}, requires=requires, extras=extras)

    return install


def unmet(name, *extras):
    return [(item.wanted, item.found) for item in unmet_requirements(name, extras)]


def test_met_requirements_are_not_reported(installed):
    installed("acme-lib", version="2.1")
    installed("acme-plugin", requires=["acme-lib>=2", "click"])
    assert unmet("acme-plugin") == []


def test_missing_and_conflicting_requirements_are_told_apart(installed):
    installed("acme-lib", version="2.1")
    installed("acme-plugin", requires=["acme-lib[fast]<2; python_version>'3'", "acme-absent>=1.5"])
    assert unmet("acme-plugin") == [("acme-lib[fast]<2", "2.1"), ("acme-absent>=1.5", None)]


def test_an_extra_counts_only_when_it_is_asked_for(installed):
    installed("acme-plugin", requires=["acme-absent; extra == 'vllm'"], extras=["vllm"])
    assert unmet("acme-plugin") == []
    assert unmet("acme-plugin", "vllm") == [("acme-absent", None)]


def test_the_spelling_of_an_extra_does_not_matter(installed):
    installed("acme-plugin", requires=["acme-absent; extra == 'lm-eval'"], extras=["lm-eval"])
    assert unmet("acme-plugin", "LM_Eval") == [("acme-absent", None)]
    assert unknown_extras("acme-plugin", ["lm_eval", "lm"]) == ["lm"]


def test_markers_of_other_platforms_do_not_count(installed):
    installed("acme-plugin", requires=["acme-absent; sys_platform == 'win95'"])
    assert unmet("acme-plugin") == []


def test_an_installed_pre_release_meets_a_requirement(installed):
    installed("acme-lib", version="0.2.227.dev4")
    installed("acme-plugin", requires=["acme-lib>=0.2.1", "acme-lib==0.2.227.dev4"])
    assert unmet("acme-plugin") == []


def test_extras_of_a_requirement_are_followed(installed):
    installed("acme-lib", requires=["acme-absent; extra == 'controller'", "acme-base"], extras=["controller"])
    installed("acme-plugin", requires=["acme-lib[controller]; extra == 'iris'"], extras=["iris"])
    # acme-base is what the library always needs: that is the installer's business.
    assert unmet("acme-plugin", "iris") == [("acme-absent", None)]


def test_extras_that_refer_to_their_own_distribution_are_followed_once(installed):
    installed(
        "acme-plugin",
        requires=["acme-plugin[hf,all]; extra == 'all'", "acme-absent; extra == 'hf'"],
        extras=["all", "hf"],
    )
    assert unmet("acme-plugin", "all") == [("acme-absent", None)]


def test_a_requirement_that_cannot_be_read_is_an_error(installed):
    installed("acme-plugin", requires=["acme lib >"])
    with pytest.raises(ValueError, match="acme lib >"):
        unmet("acme-plugin")


def test_what_an_interrupted_uninstall_left_is_not_installed(installed, tmp_path):
    installed("acme-plugin", requires=["acme-lib"])
    (tmp_path / "acme_lib-1.0.dist-info").mkdir()
    assert unmet("acme-plugin") == [("acme-lib", None)]
