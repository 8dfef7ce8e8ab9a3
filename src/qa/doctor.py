"""Check that what the program needs is there and sound."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from qa.calibration import open_calibration
from qa.config import Settings
from qa.encoder import exported_folder, is_complete, model_folder, open_encoder
from qa.errors import QAError
from qa.scorer import NONE, open_scorer
from qa.stores.local import LocalStore
from qa.types import Passage, Sentence

PACKAGES = ("faiss-cpu", "flask", "openvino", "tantivy", "tokenizers", "waitress")
#: Needed once, to export a model.
EXPORT_PACKAGES = ("sentence-transformers", "torch")
_YES = Passage("", "", 0, 4, "Yes.", "Yes.", (), 1, None, (Sentence(0, 4, "Yes."),))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    sound: bool
    finding: str


def checks(settings: Settings) -> Iterator[Check]:
    """Look at packages, model, corpus and index, one after the other."""
    yield Check("python", sys.version_info >= (3, 11), sys.version.split()[0])
    for package in (*PACKAGES, *EXPORT_PACKAGES):
        try:
            yield Check(package, True, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Check(package, False, f"not installed: pip install {package}")
    yield _model(settings)
    yield _selector(settings)
    found = settings.corpus.is_dir()
    advice = "" if found else " is no folder; name it with --corpus"
    yield Check("corpus", found, f"{settings.corpus}{advice}")
    yield _index(settings)


def _model(settings: Settings) -> Check:
    try:
        folder = model_folder(settings.model)
    except QAError as error:
        return Check("model", False, str(error))
    exported = exported_folder(settings, folder)
    if not exported.is_dir():
        return Check("model", True, f"{settings.model}, not exported yet; `qa index` does it")
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
        store = LocalStore.open(settings.index)
    except QAError as error:
        return Check("index", False, str(error))
    counts = store.manifest.counts
    finding = f"{store.generation}, {counts['sources']} sources, {counts['passages']} passages"
    return Check("index", True, f"{finding}, every checksum right")
