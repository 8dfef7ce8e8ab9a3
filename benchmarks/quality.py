"""Measure answers on every question set, and compare with what was measured before: `make eval`.

    python -m benchmarks.quality [DATA] [--sample N] [--baseline] [--update]

DATA is a folder with the sets; without it only the questions on the shipped corpus are asked. A
measure that is more than a point worse than in benchmarks/quality.json fails the run. With
--baseline everything is measured a second time with the selector off, for comparison.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import sets
from qa.assistant import Assistant
from qa.config import Settings
from qa.encoder import open_encoder
from qa.evaluate import auroc, evaluate, hit_rate, reciprocal_rank
from qa.ingest import build
from qa.scorer import NONE, open_scorer
from qa.selector import FEATURES, Selector
from qa.text import terms
from qa.types import Encoder, Hit, Passage, Sentence, SentenceScorer

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "benchmarks" / "quality.json"
#: Near misses that the selector is not trained on.
CONTRASTS = ROOT / "training" / "contrasts" / "test"
#: A drop of more than this is a failure.
TOLERANCE = 0.01
FIRST = "first answer sentence right"
Figures = dict[str, float]


def main() -> None:
    """Measure, print, compare; exit 1 when something is worse than recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder with the question sets")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="questions of each set")
    parser.add_argument("--baseline", action="store_true", help="also with the selector off")
    parser.add_argument("--update", action="store_true", help=f"write {RECORD.name}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(index=Path(folder, "index"))
        found = dict(figures(settings, arguments.data, arguments.sample))
        off = replace(settings, selector=NONE)
        base = dict(figures(off, arguments.data, arguments.sample)) if arguments.baseline else {}
    kind = f"sample of {arguments.sample}" if arguments.sample else "all"
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    before = record.get(kind, {})
    print(f"{'':<56}{'off':>8}{'now':>8}{'before':>8}")
    worse = []
    # of a sample, another processor's rounding may turn a question or two
    allowed = TOLERANCE + (1.5 / arguments.sample if arguments.sample else 0)
    for name, value in found.items():
        shown = [
            f"{cell:>8.3f}" if cell is not None else " " * 8
            for cell in (base.get(name), value, before.get(name))
        ]
        print(f"{name:<56}{''.join(shown)}")
        if name in before and round(drop(name, before[name], value), 6) > allowed:
            worse.append(name)
    if arguments.update:
        record[kind] = {**before, **found}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    elif worse:
        sys.exit(f"worse by more than {allowed:.1%}: {'; '.join(worse)}")


def drop(name: str, before: float, now: float) -> float:
    """Return how much worse a figure is; of false answers, less is better."""
    return now - before if "false answers" in name else before - now


def figures(settings: Settings, data: Path | None, sample: int) -> Iterator[tuple[str, float]]:
    """Measure every set, and yield each figure with its name."""
    encoder = open_encoder(settings)
    scorer = open_scorer(settings, encoder)
    yield from corpus_figures(settings, encoder, scorer)
    contrasts = [
        found for path in sorted(CONTRASTS.glob("*.txt")) for found in sets.contrasts(path)
    ]
    for measure, value in near_miss_figures(encoder, scorer, drawn(contrasts, sample)).items():
        yield f"contrasts: {measure}", value
    if data is None:
        print("No folder of question sets given: only the shipped corpus is measured.")
        return
    rankings = {
        "nq-qed-dev": sets.natural_questions(data / "nq-qed-dev.jsonl"),
        "selqa-eval": sets.selqa(data / "selqa-eval.json"),
        "wikiqa-test": sets.wikiqa(data / "wikiqa-test.tsv"),
    }
    for name, found in rankings.items():
        for measure, value in ranking_figures(encoder, scorer, drawn(found, sample)).items():
            yield f"{name}: {measure}", value
    pairs = sets.squad_sentences(data / "squad-sentences-eval.tsv")
    for measure, value in sentence_figures(settings, encoder, scorer, pairs, sample).items():
        yield f"squad-sentences-eval: {measure}", value
    yield from xquad_figures(settings, data / "xquad.en.json", sample)


def drawn(items: Sequence[sets.Ranking], sample: int) -> list[sets.Ranking]:
    """Return a sample that is the same in every run, or everything."""
    return random.Random(0).sample(list(items), min(sample, len(items))) if sample else list(items)


class Given:
    """What the selector asks of a store, for passages that were not searched but given."""

    def __init__(self, rankings: Sequence[sets.Ranking]) -> None:
        texts = [sentence for ranking in rankings for sentence in ranking.sentences]
        self._total = len(texts)
        self._count = Counter(
            stem for text in texts for stem in {term.text for term in terms(text)}
        )

    def rarities(self, wanted: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each stem, as BM25 defines it."""
        counts = [self._count[stem] for stem in wanted]
        return [math.log(1 + (self._total - count + 0.5) / (count + 0.5)) for count in counts]


def given(ranking: sets.Ranking) -> Hit:
    """Make a passage of the sentences of a ranking; their places stand for their offsets."""
    text = " ".join(ranking.sentences)
    sentences = tuple(
        Sentence(number, number + 1, plain) for number, plain in enumerate(ranking.sentences)
    )
    section = (ranking.section,) if ranking.section else ()
    passage = Passage("", ranking.title, 0, len(text), text, text, section, 1, None, sentences)
    return Hit(0, passage, 1.0, 0.0, 0.0, {})


def ranking_figures(
    encoder: Encoder, scorer: SentenceScorer, rankings: Sequence[sets.Ranking]
) -> Figures:
    """Rank the sentences of each question; the right section is given."""
    selector = Selector(scorer)
    store = Given(rankings)
    ranks, precisions = [], []
    for ranking in rankings:
        (vector,) = encoder.encode([ranking.question])
        selection = selector.select(store, ranking.question, vector, [given(ranking)])
        order = [found.sentence.start in ranking.right for found in selection.candidates]
        hits = [place for place, right in enumerate(order, 1) if right]
        ranks.append(hits[0] if hits else 0)
        precisions.append(
            sum(number / place for number, place in enumerate(hits, 1)) / max(1, len(hits))
        )
    return {
        "P@1": hit_rate(ranks, 1),
        "MAP": sum(precisions) / len(precisions),
        "MRR": reciprocal_rank(ranks, 1000),
    }


def near_miss_figures(
    encoder: Encoder, scorer: SentenceScorer, rankings: Sequence[sets.Ranking]
) -> Figures:
    """Rank the sentences of each group; then leave out the right ones, and look at the evidence."""
    selector, store = Selector(scorer), Given(rankings)
    evidence = FEATURES.index("evidence")
    first, answered, missed = 0, [], []
    for ranking in rankings:
        (vector,) = encoder.encode([ranking.question])
        wrong = tuple(
            text for place, text in enumerate(ranking.sentences) if place not in ranking.right
        )
        whole, left = (
            selector.select(store, ranking.question, vector, [given(found)])
            for found in (ranking, replace(ranking, sentences=wrong))
        )
        first += whole.candidates[0].sentence.start in ranking.right
        answered.append(whole.features[evidence])
        missed.append(left.features[evidence])
    return {
        "P@1": first / len(rankings),
        "AUROC of the evidence, answers left out": auroc(answered, missed),
    }


def sentence_figures(
    settings: Settings,
    encoder: Encoder,
    scorer: SentenceScorer,
    pairs: Sequence[tuple[str, str]],
    sample: int,
) -> Figures:
    """Search all sentences, each a source of its own, for the one that answers."""
    uris = {
        text: f"{place:05}.txt" for place, text in enumerate(dict.fromkeys(s for _, s in pairs))
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(settings, corpus=Path(folder, "corpus"), index=Path(folder, "index"))
        settings.corpus.mkdir()
        for text, uri in uris.items():
            (settings.corpus / uri).write_text(text, encoding="utf-8")
        build(settings, encoder)
        assistant = Assistant.open(settings=settings, encoder=encoder, scorer=scorer)
        chosen = random.Random(0).sample(list(pairs), min(sample, len(pairs))) if sample else pairs
        ranks = []
        for question, sentence in chosen:
            found = [passage.text for passage in assistant.ask(question, limit=10).passages]
            ranks.append(found.index(sentence) + 1 if sentence in found else 0)
    return {"hit@1": hit_rate(ranks, 1), "MRR@10": reciprocal_rank(ranks, 10)}


def corpus_figures(
    settings: Settings, encoder: Encoder, scorer: SentenceScorer
) -> Iterator[tuple[str, float]]:
    """Ask the questions on the shipped corpus."""
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(settings, corpus=ROOT / "corpus", index=Path(folder, "index"))
        build(settings, encoder)
        result = evaluate(ROOT / "tests/questions/corpus.jsonl", settings, Path(folder))
    for name in ("answer-sentence hit", FIRST, "passage hit@1", "refusal AUROC"):
        yield f"corpus.jsonl: {name}", result[name]


def xquad_figures(settings: Settings, path: Path, sample: int) -> Iterator[tuple[str, float]]:
    """Ask XQuAD as it is, and without what answers it; a sample is one of whole articles."""
    with tempfile.TemporaryDirectory() as folder:
        if sample:
            data = json.loads(path.read_text(encoding="utf-8"))
            data["data"] = data["data"][:: max(1, 1190 // sample)]
            path = Path(folder, "xquad.json")
            path.write_text(json.dumps(data), encoding="utf-8")
        result = evaluate(path, settings, Path(folder, "index"))
    wanted = ("passage hit@1", "passage MRR@10", FIRST, "answer-sentence hit")
    for name, value in result.items():
        if name in wanted or name.startswith(("topic removed", "gold source removed")):
            yield f"xquad.en: {name}", value


if __name__ == "__main__":
    main()
