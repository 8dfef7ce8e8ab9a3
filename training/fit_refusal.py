"""Fit the confidence that the sources answer, and write src/qa/refusal.json.

    python training/fit_refusal.py XQUAD.json SELQA-TRAIN.json [--write]

Two sets of questions, so that the fit knows questions that use the words of their answer (XQuAD)
and questions that were reworded by someone else (SelQA, training part). Every question is asked
three times: of all sources (they answer), without its whole article (they do not), and without
the paragraph or section that answers it (they do not, but come near). A logistic regression on
the features of qa.selector is fitted on all three, and measured on articles that were held out:
six folds by article. The threshold is the one at which 95% of the answerable are answered in
those folds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from qa.config import Settings
from qa.encoder import open_encoder
from qa.evaluate import auroc, false_answers, read_questions
from qa.ingest import build
from qa.retrieve import retrieve
from qa.selector import DEPTH, FEATURES, Selector
from qa.stores.local import LocalStore

FOLDS = 6
TARGET = Path(__file__).parents[1] / "src" / "qa" / "refusal.json"
#: How much a question counts in the fit: answerable as much as both other kinds together.
WEIGHTS = {"answerable": 2.0, "article removed": 1.0, "gold text removed": 1.0}


@dataclass(frozen=True)
class Sample:
    """A question, the source that answers it, and the sources of the same article."""

    question: str
    uri: str
    article: tuple[str, ...]


def xquad(path: Path) -> tuple[list[Sample], dict[str, str]]:
    """Read SQuAD-format JSON: every paragraph is a source."""
    questions, corpus = read_questions(path)
    return [Sample(item.text, item.uri or "", item.topic) for item in questions], corpus


def selqa(path: Path) -> tuple[list[Sample], dict[str, str]]:
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
    return [
        Sample(entry["question"], entry["uri"], tuple(articles[entry["article"]]))
        for entry in entries
    ], corpus


def collect(samples: list[Sample], corpus: dict[str, str]) -> dict[str, np.ndarray]:
    """Return the features of every question in each of the three conditions."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(corpus=Path(folder, "corpus"), index=Path(folder, "index"))
        for uri, text in corpus.items():
            target = settings.corpus / uri
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
        encoder = open_encoder(settings)
        build(settings, encoder)
        store = LocalStore.open(settings.index)
        selector = Selector(encoder)
        vectors = encoder.encode([sample.question for sample in samples])
        rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in WEIGHTS}
        for sample, vector in zip(samples, vectors, strict=True):
            for name, uris in _conditions(sample, sorted(corpus)):
                hits = retrieve(
                    store,
                    sample.question,
                    vector,
                    dense_weight=settings.dense_weight,
                    candidates=settings.candidates,
                    limit=DEPTH,
                    uris=uris,
                )
                rows[name].append(selector.select(store, sample.question, vector, hits).features)
    return {name: np.array(values) for name, values in rows.items()}


def _conditions(sample: Sample, uris: list[str]) -> list[tuple[str, list[str] | None]]:
    return [
        ("answerable", None),
        ("article removed", [uri for uri in uris if uri not in sample.article]),
        ("gold text removed", [uri for uri in uris if uri != sample.uri]),
    ]


def fit(rows: dict[str, np.ndarray], chosen: np.ndarray) -> LogisticRegression:
    """Fit on the chosen questions in all conditions."""
    samples = np.vstack([values[chosen] for values in rows.values()])
    labels = np.repeat([name == "answerable" for name in rows], chosen.sum())
    weights = np.repeat([WEIGHTS[name] for name in rows], chosen.sum())
    return LogisticRegression(C=10, max_iter=1000).fit(samples, labels, weights)


def held_out_scores(rows: dict[str, np.ndarray], folds: np.ndarray) -> dict[str, np.ndarray]:
    """Return the confidence of every question from a fit that did not see its article."""
    scores = {name: np.zeros(len(folds)) for name in rows}
    for fold in range(FOLDS):
        model = fit(rows, folds != fold)
        held_out = folds == fold
        for name, values in rows.items():
            scores[name][held_out] = model.predict_proba(values[held_out])[:, 1]
    return scores


def measure(scores: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Return the measures of each unanswerable condition against the answerable one."""
    yes = scores["answerable"].tolist()
    return {
        name: {
            "AUROC": round(auroc(yes, no.tolist()), 4),
            "false answers at 95% answered": round(false_answers(yes, no.tolist(), 0.95), 4),
            "false answers at 90% answered": round(false_answers(yes, no.tolist(), 0.90), 4),
        }
        for name, no in scores.items()
        if name != "answerable"
    }


def main() -> None:
    """Fit, print the measures on held-out articles, and write the file if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("xquad", type=Path, help="SQuAD-format JSON: XQuAD, English")
    parser.add_argument("selqa", type=Path, help="SelQA, training part")
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    arguments = parser.parse_args()
    sets = {"XQuAD": xquad(arguments.xquad), "SelQA": selqa(arguments.selqa)}
    parts = {name: collect(*found) for name, found in sets.items()}
    rows = {kind: np.vstack([part[kind] for part in parts.values()]) for kind in WEIGHTS}
    origin = np.repeat(list(sets), [len(samples) for samples, _ in sets.values()])
    article = [f"{name} {sample.article[0]}" for name in sets for sample in sets[name][0]]
    folds = np.unique(article, return_inverse=True)[1] % FOLDS
    scores = held_out_scores(rows, folds)
    model = fit(rows, np.ones(len(folds), dtype=bool))
    result = {
        "fitted_on": {name: len(samples) for name, (samples, _) in sets.items()},
        "coefficients": {
            name: round(float(value), 3)
            for name, value in zip(FEATURES, model.coef_[0], strict=True)
        },
        "intercept": round(float(model.intercept_[0]), 3),
        "threshold": round(float(np.quantile(scores["answerable"], 0.05)), 3),
        "held_out": {
            name: measure({kind: values[origin == name] for kind, values in scores.items()})
            for name in sets
        },
    }
    print(json.dumps(result, indent=1))
    if arguments.write:
        TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
