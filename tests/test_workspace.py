"""The shape of the workspace: five packages alike, one namespace, one version, and files that name no machine."""

import ast
import configparser
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
NAMES = [folder.name for folder in PACKAGES]
package = pytest.mark.parametrize("folder", PACKAGES, ids=NAMES)


def pyproject(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def modules(folder: Path) -> list[str]:
    return pyproject(folder)["tool"]["uv"]["build-backend"]["module-name"]


def module_folder(folder: Path, module: str) -> Path:
    return folder / "src" / Path(*module.split("."))


def tracked_files() -> list[Path]:
    # New files count before they are committed. The working uv.lock holds addresses: scripts/lock --check judges it.
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = {ROOT / line for line in listed.stdout.splitlines()} - {ROOT / "uv.lock"}
    return sorted(path for path in paths if path.is_file())


def test_the_five_packages_are_there():
    assert NAMES == ["marin-classifiers", "marin-core", "marin-eval", "marin-generation", "marin-rl"]


@package
def test_package_has_the_common_shape(folder: Path):
    for name in ("pyproject.toml", "README.md", "LICENSE", "src"):
        assert (folder / name).exists(), name
    for module in modules(folder):
        assert (module_folder(folder, module) / "__init__.py").is_file(), module
        assert (module_folder(folder, module) / "py.typed").is_file(), module
    code = [path for path in (folder / "src").rglob("*.py") if path.name != "__init__.py"]
    if code:
        assert list((folder / "tests").rglob("test_*.py")), "code without tests"


@package
def test_every_source_file_belongs_to_a_module_that_the_wheel_ships(folder: Path):
    shipped = [module_folder(folder, module) for module in modules(folder)]
    strays = [
        str(path.relative_to(folder))
        for path in (folder / "src").rglob("*.py")
        if not any(path.is_relative_to(module) for module in shipped)
    ]
    # This also keeps __init__.py out of the namespace folders marin and marin/processing.
    assert strays == []


@package
def test_init_files_export_nothing_of_their_modules(folder: Path):
    hubs = [
        f"{path.relative_to(folder)}: {node.module}"
        for path in (folder / "src").rglob("__init__.py")
        for node in ast.parse(path.read_text()).body  # an import inside a function exports nothing
        if isinstance(node, ast.ImportFrom)
        and f"{node.module}.".startswith(".".join(path.parent.relative_to(folder / "src").parts) + ".")
    ]
    assert hubs == []


def test_tests_are_no_packages():
    folders = [ROOT / "tests", *(folder / "tests" for folder in PACKAGES)]
    assert [str(path.relative_to(ROOT)) for folder in folders for path in folder.rglob("__init__.py")] == []


def test_versions_move_together():
    version = pyproject(ROOT)["project"]["version"]
    assert {folder.name: pyproject(folder)["project"]["version"] for folder in PACKAGES} == dict.fromkeys(
        NAMES, version
    )
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


@package
def test_our_packages_are_pinned_exactly_and_only_core_is_shared(folder: Path):
    project = pyproject(folder)["project"]
    asked = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    ours = [line for line in asked if re.split(r"[^a-z-]", line)[0] in NAMES]
    assert ours == ([] if folder.name == "marin-core" else [f"marin-core=={project['version']}"])


@package
def test_packages_agree_on_python_and_licence(folder: Path):
    project = pyproject(folder)["project"]
    assert project["requires-python"] == pyproject(ROOT)["project"]["requires-python"]
    assert project["license"] == "Apache-2.0"


def test_ci_matrix_is_the_workspace():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert f"package: [{', '.join(NAMES)}]\n" in workflow


def test_ci_matrix_has_every_supported_python():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    lowest, below = re.findall(r"3\.(\d+)", pyproject(ROOT)["project"]["requires-python"])
    versions = ", ".join(f'"3.{minor}"' for minor in range(int(lowest), int(below)))
    assert f"python: [{versions}]\n" in workflow


def test_every_module_has_a_reference_page_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    for module in (module for folder in PACKAGES for module in modules(folder)):
        assert (ROOT / "docs" / "reference" / f"{module}.md").read_text().startswith(f"# {module}\n")
        assert f"reference/{module}.md" in navigation


def test_every_third_party_requirement_is_explained():
    development = [line for group in pyproject(ROOT)["dependency-groups"].values() for line in group]
    asked = [line for line in development if isinstance(line, str)]
    for folder in PACKAGES:
        project = pyproject(folder)["project"]
        asked += [
            *project["dependencies"],
            *(line for extra in project["optional-dependencies"].values() for line in extra),
        ]
    names = {re.split(r"[^\w.-]", line)[0] for line in asked} - set(NAMES)
    rows = [line for line in (ROOT / "docs" / "dependencies.md").read_text().splitlines() if line.startswith("| `")]
    explained = {name for row in rows for cell in row.split("|")[1:3] for name in re.findall("`(.+?)`", cell)}
    assert names - explained == set()


def test_every_module_is_under_the_import_contracts():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    listed = contracts["importlinter"]["root_packages"].split()
    assert sorted(listed) == sorted(module for folder in PACKAGES for module in modules(folder))


def test_every_module_of_the_command_line_is_in_a_layer():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"].split()
    # marin.cli is no layer of its own, because all areas may import marin.cli.output.
    command_line = {f"marin.cli.{path.stem}" for path in (ROOT / "packages/marin-core/src/marin/cli").glob("*.py")} - {
        "marin.cli.__init__"
    }
    assert command_line <= set(layers)


def index_hosts() -> set[str]:
    """Return the host names of the package indexes that this machine is set up with, beside the public ones."""
    configured = [value for name, value in os.environ.items() if re.search(r"INDEX|REGISTRY|PROXY|FIND_LINKS", name)]
    for path in (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        configured += [path.read_text()] if path.is_file() else []
    hosts = {host for text in configured for host in re.findall(r"://(?:[^/@\s]*@)?([\w.-]+)", text)}
    # Written apart so that this file does not name them.
    return hosts - {"localhost", "127.0.0.1"} | {
        ".".join(name) for name in (("pypi", "org"), ("files", "pythonhosted", "org"))
    }


def test_no_file_names_a_package_index():
    hosts = index_hosts()
    named = {
        f"{path.relative_to(ROOT)}: {host}"
        for path in tracked_files()
        for host in hosts
        if host.encode() in path.read_bytes()
    }
    assert named == set()


# /home/me is the home folder of the examples.
MACHINE_PATH = re.compile(rb"(?<![\w.:/}])/(?:root|home(?!/me\b)|Users|work|opt|mnt)/[\w.]+")


def test_no_file_names_a_path_of_one_machine():
    found = {
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in tracked_files()
        for match in MACHINE_PATH.finditer(path.read_bytes())
    }
    assert found == set()
