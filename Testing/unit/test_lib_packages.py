"""Packages: what is missing is told without importing it; nothing is installed unasked, nothing of Slicer replaced."""

import sys
import tomllib
import types
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from NeuroGenLib import packages
from NeuroGenLib.packages import PackagesMissing, ensurePackages

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def lacking(monkeypatch):
    """Make the given packages absent until they are "installed" by adding them to the returned set."""

    def make(*names):
        installed = set()
        true_version, true_spec = packages.metadata.version, packages.importlib.util.find_spec

        def version(name):
            if name in names and name not in installed:
                raise packages.metadata.PackageNotFoundError(name)
            return true_version(name)

        def find_spec(name, package=None):
            absent = {packages._MODULES.get(each, each) for each in names if each not in installed}
            return None if name in absent else true_spec(name, package)

        monkeypatch.setattr(packages.metadata, "version", version)
        monkeypatch.setattr(packages.importlib.util, "find_spec", find_spec)
        return installed

    return make


def fake_module(monkeypatch, name, **content):
    module = types.ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def new_slicer(monkeypatch):
    """slicer.packaging of 5.12: keeps what was asked for, with the constraints, and what it answers."""
    asked = []

    def pip_ensure(requirements, constraints=None, requester=None):
        asked.append(([str(each) for each in requirements], Path(constraints).read_text(encoding="utf-8"), requester))
        asked_of["then"](requirements)

    asked_of = {"then": lambda requirements: None}
    fake_module(monkeypatch, "slicer").__path__ = []
    fake_module(monkeypatch, "slicer.packaging", pip_ensure=pip_ensure)
    return asked, asked_of


def test_the_list_is_that_of_the_project():
    assert {packages.TORCH, *packages.REQUIREMENTS} == set(PROJECT["dependencies"])


def test_nothing_is_missing_here_and_then_nobody_is_asked(monkeypatch):
    assert packages.missingPackages() == []
    monkeypatch.setitem(sys.modules, "slicer", None)
    ensurePackages("NeuroGen")


@pytest.mark.parametrize(
    ("requirement", "fulfilled"), [("numpy>=2", True), ("numpy>=99", False), ("no-such>=1", False)]
)
def test_versions_count(requirement, fulfilled):
    assert packages.isSatisfied(requirement) == fulfilled


def test_what_slicer_builds_in_without_metadata_counts_as_there(monkeypatch):
    def unknown(name):
        raise packages.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packages.metadata, "version", unknown)
    assert packages.isSatisfied("SimpleITK>=2.4")
    assert packages.isSatisfied("pillow>=10")


def test_what_is_missing_is_installed_by_slicer_with_all_else_held(lacking, new_slicer):
    asked, asked_of = new_slicer
    installed = lacking("nibabel", "scikit-learn")
    asked_of["then"] = lambda requirements: installed.update(each.name for each in requirements)
    ensurePackages("NeuroGenAD")
    ((wanted, constraints, requester),) = asked
    assert wanted == ["scikit-learn>=1.5", "nibabel>=5.3"]
    assert requester == "NeuroGenAD"
    held = dict(line.split("==") for line in constraints.splitlines())
    assert held["numpy"] == packages.metadata.version("numpy")
    assert {"scipy", "torch"} <= set(held)
    for line in constraints.splitlines():
        Requirement(line)


def test_a_user_who_declines_is_told_what_follows(lacking, new_slicer):
    asked, asked_of = new_slicer

    def decline(requirements):
        raise RuntimeError("User declined package installation")

    asked_of["then"] = decline
    lacking("nibabel")
    with pytest.raises(PackagesMissing, match="without these packages, which were not installed: nibabel"):
        ensurePackages("NeuroGen")


def test_an_installation_that_did_nothing_is_noticed(lacking, new_slicer):
    lacking("nibabel")
    with pytest.raises(PackagesMissing, match="still missing: nibabel"):
        ensurePackages("NeuroGen")


@pytest.mark.parametrize("agrees", [True, False])
def test_slicer_5_10_asks_and_uses_pip(monkeypatch, lacking, agrees):
    calls, installed = [], lacking("nibabel", "tqdm")

    def pip_install(arguments):
        calls.append(arguments)
        installed.update(("nibabel", "tqdm"))

    util = types.SimpleNamespace(confirmOkCancelDisplay=lambda text: agrees, pip_install=pip_install)
    fake_module(monkeypatch, "slicer", util=util).__path__ = []
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    if not agrees:
        with pytest.raises(PackagesMissing, match="not installed: nibabel.*tqdm"):
            ensurePackages("NeuroGen")
        assert calls == []
        return
    ensurePackages("NeuroGen")
    assert calls[0][:3] == ["nibabel>=5.3", "tqdm>=4.66", "--constraint"]


def test_torch_comes_by_its_extension_first(monkeypatch, lacking, new_slicer):
    asked, asked_of = new_slicer
    installed, order = lacking("torch", "nibabel"), []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            order.append(("torch", askConfirmation, torchVersionRequirement))
            installed.add("torch")
            return object()

    def then(requirements):
        order.append("rest")
        installed.update(each.name for each in requirements)

    asked_of["then"] = then
    fake_module(monkeypatch, "PyTorchUtils", PyTorchUtilsLogic=PyTorchUtilsLogic)
    ensurePackages("NeuroGen")
    assert order == [("torch", True, ">=2.4.1"), "rest"]
    assert asked[0][0] == ["nibabel>=5.3"]


def test_without_the_extension_or_the_consent_there_is_no_torch(monkeypatch, lacking):
    lacking("torch")
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(PackagesMissing, match="needs the PyTorch extension"):
        ensurePackages("NeuroGen")
    declining = types.SimpleNamespace(installTorch=lambda **options: None)
    fake_module(monkeypatch, "PyTorchUtils", PyTorchUtilsLogic=lambda: declining)
    with pytest.raises(PackagesMissing, match="PyTorch, whose installation was declined"):
        ensurePackages("NeuroGen")


def test_slicers_own_packages_are_never_replaced(lacking, new_slicer):
    asked, _ = new_slicer
    lacking("numpy", "nibabel")
    with pytest.raises(PackagesMissing, match="This Slicer is too old.*numpy>=2.0"):
        ensurePackages("NeuroGen")
    assert asked == []
