"""Fit the confidence that the sources answer, and write src/qa/calibration.json.

    python -m training.fit_confidence XQUAD.json SELQA-TRAIN.json [--write]

Two sets of questions, so that the fit knows questions that use the words of their answer (XQuAD)
and questions that were reworded by someone else (SelQA, training part). Every question is asked
three times: of all sources (they answer), without its whole article (they do not), and without
the paragraph or section that answers it (they do not, but come near). One fit is for similarity,
one for the selector that ships, and one for any other, whose scores cannot be known here and are
left out. The measures are those of held-out articles, in six folds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qa.assistant import Assistant
from qa.config import Settings
from qa.encoder import open_encoder
from qa.evaluate import (
    Question,
    Sample,
    calibration_measures,
    fit_samples,
    read_questions,
    sample,
)
from qa.ingest import build
from qa.scorer import NONE, SHIPPED
from qa.selector import FEATURES

TARGET = Path(__file__).parents[1] / "src" / "qa" / "calibration.json"
#: Features that say something whatever the scorer.
WITHOUT_SCORER = tuple(name for name in FEATURES if name not in ("evidence", "gap"))
#: What says all but a little where sentences are read: near misses share the words, too.
READ = ("evidence", "passage similarity")


def selqa(path: Path) -> tuple[list[Question], dict[str, str]]:
    """Read SelQA: every section is a source, titled by its article."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    uris: dict[tuple[str, str, str], str] = {}
    articles: dict[str, list[str]] = {}
    corpus = {}
    for entry in entries:
        key = (entry["article"], entry["section"], " ".join(entry["candidates"]))
        if key not in uris:
            uris[key] = f"{len(uris):04}.md"
            articles.setdefault(entry["article"], []).append(uris[key])
            heading = f"## {entry['section']}\n\n" if entry["section"] != "Abstract" else ""
            corpus[uris[key]] = f"---\ntitle: {json.dumps(key[0])}\n---\n{heading}{key[2]}\n"
        entry["uri"] = uris[key]
    questions = [
        Question(
            entry["question"],
            tuple(entry["candidates"][place] for place in entry["answers"]),
            entry["uri"],
            topic=tuple(articles[entry["article"]]),
        )
        for entry in entries
    ]
    return questions, corpus


def samples(
    questions: list[Question], corpus: dict[str, str], name: str, selector: str
) -> Iterator[Sample]:
    """Ask the questions of their corpus, in all three ways."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            corpus=Path(folder, "corpus"), index=Path(folder, "index"), selector=selector
        )
        for uri, text in corpus.items():
            target = settings.corpus / uri
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
        encoder = open_encoder(settings)
        build(settings, encoder)
        assistant = Assistant.open(settings=settings, encoder=encoder)
        for question in questions:
            for found in sample(question, assistant):
                yield dataclasses.replace(found, group=f"{name} {found.group}")


def fitted(found: dict[str, list[Sample]], names: tuple[str, ...]) -> dict[str, Any]:
    """Fit on all sets together, and measure each by itself."""
    everything = [item for items in found.values() for item in items]
    calibration, held_out = fit_samples(everything, names)
    confidences = iter(held_out)
    measures = {
        name: calibration_measures(items, [next(confidences) for _ in items])
        for name, items in found.items()
    }
    return {**dataclasses.asdict(calibration), "held_out": measures}


def main() -> None:
    """Fit for each scorer, print the measures on held-out articles, write the file if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("xquad", type=Path, help="SQuAD-format JSON: XQuAD, English")
    parser.add_argument("selqa", type=Path, help="SelQA, training part")
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    arguments = parser.parse_args()
    sets = {"XQuAD": read_questions(arguments.xquad), "SelQA": selqa(arguments.selqa)}
    found = {
        selector: {name: list(samples(*read, name, selector)) for name, read in sets.items()}
        for selector in (NONE, SHIPPED)
    }
    result = {
        NONE: fitted(found[NONE], FEATURES),
        SHIPPED: fitted(found[SHIPPED], READ),
        "any": fitted(found[NONE], WITHOUT_SCORER),
    }
    print(json.dumps(result, indent=1))
    if arguments.write:
        TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
