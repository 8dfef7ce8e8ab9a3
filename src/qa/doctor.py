"""Check that what the program needs is there and sound."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from qa.calibration import open_calibration
from qa.config import LOCAL, Settings, web_folder
from qa.encoder import exported_folder, is_complete, model_folder, open_encoder
from qa.errors import QAError
from qa.scorer import NONE, open_scorer
from qa.stores.index import open_index
from qa.types import Passage, Sentence

#: What a requirement is called, and the extra that asks for it.
_REQUIREMENT = re.compile(r"([\w.-]+)[^;]*(?:;.*extra == ['\"](\w+)['\"])?")
#: What the program reads that is not Python, below the folder that holds it.
WEB_FILES = (
    "templates/answer.html",
    "templates/base.html",
    "templates/chat.html",
    "templates/error.html",
    "templates/evidence.html",
    "templates/parts.html",
    "templates/sign_in.html",
    "templates/source.html",
    "templates/sources.html",
    "templates/status.html",
    "static/answer.js",
    "static/chat.js",
    "static/disagreement.js",
    "static/dom.js",
    "static/export.js",
    "static/feedback.js",
    "static/filters.js",
    "static/followup.js",
    "static/freshness.js",
    "static/history.js",
    "static/icon.svg",
    "static/pane.js",
    "static/preview.js",
    "static/reader.js",
    "static/rebuild.js",
    "static/source.js",
    "static/sources.js",
    "static/stale.js",
    "static/style.css",
    "static/threads.js",
    "static/upload.js",
)
_YES = Passage("", "", 0, 4, "Yes.", "Yes.", (), 1, None, (Sentence(0, 4, "Yes."),))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    sound: bool
    finding: str


def checks(settings: Settings) -> Iterator[Check]:
    """Look at every package and file that is needed, one after the other."""
    yield Check("python", sys.version_info >= (3, 11), sys.version.split()[0])
    for package, extra in packages():
        yield _package(package, extra)
    yield from _files(settings)
    yield _model(settings)
    yield _selector(settings)
    found = settings.corpus.is_dir()
    advice = "" if found else " is no folder; name it with --corpus"
    yield Check("corpus", found, f"{settings.corpus}{advice}")
    yield _index(settings)


def packages() -> list[tuple[str, str]]:
    """Return what has to be installed, each with the extra that asks for it or nothing."""
    found = []
    for requirement in metadata.requires("qa") or []:
        if parts := _REQUIREMENT.match(requirement):
            found.append((parts[1], parts[2] or ""))
    return found


def _package(name: str, extra: str) -> Check:
    try:
        return Check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        if extra:  # its files are skipped with a reason
            return Check(name, True, f"not installed; its formats need pip install '.[{extra}]'")
        return Check(name, False, f"not installed: pip install {name}")


def _files(settings: Settings) -> Iterator[Check]:
    for name in WEB_FILES:
        path = web_folder() / name
        yield Check(f"web/{name}", path.is_file(), _found(path, path.is_file()))
    path = Path(__file__).parent / "calibration.json"
    yield Check("calibration.json", path.is_file(), _found(path, path.is_file()))
    for name, path in (("fit", settings.calibration), ("token", settings.token_file)):
        yield Check(f"{name} (optional)", True, _found(path, path.is_file()))


def _found(path: Path, there: bool) -> str:
    return str(path) if there else f"{path} is not there"


def _model(settings: Settings) -> Check:
    try:
        folder = model_folder(settings.model)
    except QAError as error:
        return Check("model", False, str(error))
    exported = exported_folder(settings, folder)
    if not exported.is_dir():
        finding = f"{settings.model} at {folder}, not exported yet; `qa index` does it"
        return Check("model", True, finding)
    if not is_complete(exported):
        return Check("model", False, f"the export at {exported} is damaged; `qa index` renews it")
    return Check("model", True, f"{settings.model}, exported")


def _selector(settings: Settings) -> Check:
    if settings.selector == NONE:
        return Check("selector", True, "none: sentences are chosen by similarity alone")
    try:
        model_folder(settings.selector)
        if not is_complete(exported_folder(settings, model_folder(settings.model))):
            return Check("selector", True, f"{settings.selector}, not tried without the model")
        encoder = open_encoder(settings)
        scorer = open_scorer(settings, encoder)
        scorer.score("Does it run?", encoder.encode(["Does it run?"])[0], [_YES])
        fitted = open_calibration(scorer.kind, settings.calibration)
    except (QAError, RuntimeError) as error:
        return Check("selector", False, str(error))
    return Check("selector", True, f"{settings.selector}, threshold {fitted.threshold:.2f}")


def _index(settings: Settings) -> Check:
    try:
        index = open_index(settings)
        store = index.open(manifest=index.check())
        place = index.facts()["store"]
    except QAError as error:
        return Check("index", False, str(error))
    counts = store.manifest.counts
    finding = f"{store.generation}, {counts['sources']} sources, {counts['passages']} passages"
    sound = "every checksum right" if settings.store == LOCAL else f"in {place}"
    return Check("index", True, f"{finding}, {sound}")
