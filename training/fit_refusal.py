"""Fit the confidence that the sources answer, and write src/qa/refusal.json.

    python training/fit_refusal.py XQUAD.json [--write]

Every question is asked three times: of all paragraphs (they answer), without its whole article
(they do not), and without its gold paragraph only (they do not, but come near). A logistic
regression on the features of qa.selector is fitted on all three, and measured on articles that
were held out: six folds by article. The threshold is the one at which 95% of the answerable are
answered in those folds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from qa.config import Settings
from qa.encoder import open_encoder
from qa.evaluate import Question, auroc, false_answers, read_questions
from qa.ingest import build
from qa.retrieve import retrieve
from qa.selector import FEATURES, Selector
from qa.stores.local import LocalStore

FOLDS = 6
TARGET = Path(__file__).parents[1] / "src" / "qa" / "refusal.json"
#: How much a question counts in the fit: answerable as much as both other kinds together.
WEIGHTS = {"answerable": 2.0, "article removed": 1.0, "paragraph removed": 1.0}


def collect(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the features of every question in each of the three conditions, and its article."""
    questions, corpus = read_questions(path)
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
        vectors = encoder.encode([question.text for question in questions])
        rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in WEIGHTS}
        for question, vector in zip(questions, vectors, strict=True):
            for name, uris in _conditions(question, sorted(corpus)):
                hits = retrieve(
                    store,
                    question.text,
                    vector,
                    dense_weight=settings.dense_weight,
                    candidates=settings.candidates,
                    uris=uris,
                )
                rows[name].append(selector.select(store, question.text, vector, hits).features)
    articles = np.array([question.topic[0] for question in questions])
    return {name: np.array(values) for name, values in rows.items()}, articles


def _conditions(question: Question, uris: list[str]) -> list[tuple[str, list[str] | None]]:
    return [
        ("answerable", None),
        ("article removed", [uri for uri in uris if uri not in question.topic]),
        ("paragraph removed", [uri for uri in uris if uri != question.uri]),
    ]


def fit(rows: dict[str, np.ndarray], chosen: np.ndarray) -> LogisticRegression:
    """Fit on the chosen questions in all conditions."""
    samples = np.vstack([values[chosen] for values in rows.values()])
    labels = np.repeat([name == "answerable" for name in rows], chosen.sum())
    weights = np.repeat([WEIGHTS[name] for name in rows], chosen.sum())
    return LogisticRegression(C=10, max_iter=1000).fit(samples, labels, weights)


def main() -> None:
    """Fit, print the measures on held-out articles, and write the file if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path, help="SQuAD-format JSON: XQuAD, English")
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    arguments = parser.parse_args()
    rows, articles = collect(arguments.questions)
    names = np.unique(articles)
    folds = np.searchsorted(names, articles) % FOLDS
    scores = {name: np.zeros(len(articles)) for name in rows}
    for fold in range(FOLDS):
        model = fit(rows, folds != fold)
        held_out = folds == fold
        for name, values in rows.items():
            scores[name][held_out] = model.predict_proba(values[held_out])[:, 1]
    yes = scores["answerable"].tolist()
    threshold = float(np.quantile(yes, 0.05))
    measured: dict[str, dict[str, float]] = {}
    for name in ("article removed", "paragraph removed"):
        no = scores[name].tolist()
        measured[name] = {
            "AUROC": round(auroc(yes, no), 4),
            "false answers at 95% answered": round(false_answers(yes, no, 0.95), 4),
            "false answers at 90% answered": round(false_answers(yes, no, 0.90), 4),
        }
    print(json.dumps(measured, indent=1))
    model = fit(rows, np.ones(len(articles), dtype=bool))
    result = {
        "fitted_on": f"{arguments.questions.name}, {len(articles)} questions",
        "coefficients": {
            name: round(float(value), 3)
            for name, value in zip(FEATURES, model.coef_[0], strict=True)
        },
        "intercept": round(float(model.intercept_[0]), 3),
        "threshold": round(threshold, 3),
        "held_out": measured,
    }
    print(json.dumps(result, indent=1))
    if arguments.write:
        TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
