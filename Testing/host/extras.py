"""What the application's Python side provides besides: translation, packages, sample data."""

import sys
import types
from dataclasses import dataclass, field

import slicer


class Translation:
    """`slicer.i18n`: gives texts back as they are and keeps which were offered for translation."""

    def __init__(self):
        self.offered: set[str] = set()

    def tr(self, text: str) -> str:
        self.offered.add(text)
        return text

    def translate(self, context: str, text: str) -> str:
        return self.tr(text)


@dataclass
class Packages:
    """`slicer.packaging`: keeps what was asked for, and installs nothing."""

    requests: list[tuple] = field(default_factory=list)
    refused: bool = False
    installed: bool = True

    def pip_check(self, requirements: object) -> bool:
        return self.installed

    def pip_ensure(self, requirements: object, **options: object) -> None:
        self.requests.append((requirements, options))
        if self.refused:
            raise RuntimeError("Installation was declined")

    def pip_install(self, requirements: object, **options: object) -> None:
        self.requests.append((requirements, options))


@dataclass
class SampleDataSource:
    """One sample as a module registered it."""

    category: str
    values: dict


samples: list[SampleDataSource] = []
translation = Translation()
packages = Packages()


def registerCustomSampleDataSource(category: str = "Custom", **values: object) -> None:
    """`SampleData.SampleDataLogic.registerCustomSampleDataSource`: keeps the registration."""
    known = {"sampleName", "uris", "fileNames", "nodeNames", "customDownloader", "thumbnailFileName", "loadFileTypes"}
    known |= {"loadFileProperties", "checksums", "loadFiles", "loadFileType"}
    unknown = set(values) - known
    if unknown:
        raise TypeError(f"registerCustomSampleDataSource has no argument {sorted(unknown)}")
    samples.append(SampleDataSource(category, values))


def install() -> None:
    """Put the modules where `import` finds them."""
    from . import scripted

    _module("slicer.i18n", tr=translation.tr, translate=translation.translate)
    _module(
        "slicer.packaging", **{name: getattr(packages, name) for name in ("pip_check", "pip_ensure", "pip_install")}
    )
    bases = {name: getattr(scripted, name) for name in vars(scripted) if name.startswith("ScriptedLoadable")}
    _module("slicer.ScriptedLoadableModule", **bases)
    logic = type(
        "SampleDataLogic", (), {"registerCustomSampleDataSource": staticmethod(registerCustomSampleDataSource)}
    )
    _module("SampleData", SampleDataLogic=logic)


def _module(name: str, **members: object) -> None:
    module = types.ModuleType(name, "Stand-in of the test host")
    module.__all__ = list(members)
    vars(module).update(members)
    sys.modules[name] = module
    if name.startswith("slicer."):
        setattr(slicer, name.removeprefix("slicer."), module)
