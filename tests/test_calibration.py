from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from qa.calibration import Calibration, fit, open_calibration, write
from qa.errors import CalibrationError
from qa.selector import FEATURES

NOWHERE = Path("nowhere.json")


@pytest.mark.parametrize(
    ("evidence", "bm25", "confidence"),
    [
        (0.0, 0.0, 1 / (1 + math.e)),
        (1.0, 0.0, 1 / (1 + math.exp(-1))),
        (0.0, 0.25, 0.5),
        (1e9, 0.0, 1.0),
        (-1e9, 0.0, 0.0),
    ],
)
def test_confidence_is_a_logistic_function_of_the_features(
    evidence: float, bm25: float, confidence: float
) -> None:
    calibration = Calibration({"evidence": 2.0, "bm25": 4.0}, -1.0, 0.5)
    values = {"evidence": evidence, "bm25": bm25, "gap": 7.0}
    found = calibration.confidence([values.get(name, 0.0) for name in FEATURES])
    assert found == pytest.approx(confidence, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "names"), [("none", FEATURES), ("selector", ["evidence", "passage similarity"])]
)
def test_a_fit_ships_for_similarity_and_for_the_selector(kind: str, names: Sequence[str]) -> None:
    found = open_calibration(kind, NOWHERE)
    assert set(found.coefficients) == set(names)
    assert 0 < found.threshold < 1


def test_of_any_other_model_the_scores_are_not_used_until_they_are_fitted() -> None:
    found = open_calibration("cross-encoder", NOWHERE)
    assert {"evidence", "gap"}.isdisjoint(found.coefficients)
    assert 0 < found.threshold < 1


def test_a_fit_of_ones_own_comes_first(tmp_path: Path) -> None:
    own = Calibration({"evidence": 1.5}, -0.5, 0.25)
    write(tmp_path / "own.json", "none", own, 30)
    assert open_calibration("none", tmp_path / "own.json") == own


def test_a_fit_for_another_model_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "own.json", "none", Calibration({}, 0.0, 0.5), 30)
    with pytest.raises(CalibrationError, match="'none', not 'selector'; fit it again") as caught:
        open_calibration("selector", tmp_path / "own.json")
    assert caught.value.path == tmp_path / "own.json"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"selector": "none"}',
        '{"selector": "none", "coefficients": {"magic": 1}, "intercept": 0, "threshold": 0}',
        '{"selector": "none", "coefficients": {"gap": "x"}, "intercept": 0, "threshold": 0}',
        '{"selector": "none", "coefficients": {}, "intercept": null, "threshold": 0}',
    ],
)
def test_a_file_that_is_no_fit(tmp_path: Path, content: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CalibrationError, match="not a fit"):
        open_calibration("none", path)


def test_fit() -> None:
    """Two clouds on one feature, the others without meaning."""
    random = np.random.default_rng(7)
    answerable = np.repeat([True, False], 2000)
    features = random.normal(size=(4000, len(FEATURES)))
    features[:, 0] += np.where(answerable, 1.0, -1.0)
    groups = [str(number % 60) for number in range(4000)]
    found, held_out = fit(features, answerable, np.ones(4000), groups)
    # normal clouds of unit width at 1 and -1: the log-odds are 2 x
    assert found.coefficients["evidence"] == pytest.approx(2, abs=0.2)
    assert all(abs(found.coefficients[name]) < 0.2 for name in FEATURES[1:])
    assert np.mean(held_out[answerable] >= found.threshold) == pytest.approx(0.95, abs=0.005)
    # that of the normal distribution below 1
    assert np.mean((held_out > 0.5) == answerable) == pytest.approx(0.841, abs=0.02)
    assert json.loads(json.dumps(dict(found.coefficients)))


def test_a_group_is_held_out_as_a_whole() -> None:
    """What one group alone would teach is not known of that group."""
    features = np.zeros((70, len(FEATURES)))
    features[:10, 0] = 5.0
    answerable = np.array([True] * 10 + [False] * 30 + [True] * 30)
    groups = ["own"] * 10 + [f"{number}" for number in range(60)]
    _, held_out = fit(features, answerable, np.ones(70), groups)
    assert held_out[:10] == pytest.approx(held_out[0])
    assert 0.3 < held_out[0] < 0.7
