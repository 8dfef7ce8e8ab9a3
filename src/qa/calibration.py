"""The probability that the sources answer, from what was measured of the passages found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa.errors import CalibrationError
from qa.selector import FEATURES

#: The fit for a scorer that has none of its own: without what the scorer said.
_ANY = "any"
#: Parts in which questions are held out, and the share of the answerable that are to be answered.
FOLDS = 6
ANSWERED = 0.95
#: With fewer of either kind a fit would say little.
LEAST_QUESTIONS = 20


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic model of answerability, for one scorer."""

    #: feature to weight; a feature that is not named has none
    coefficients: Mapping[str, float]
    intercept: float
    #: least confidence with which a question is answered
    threshold: float

    def confidence(self, features: Sequence[float]) -> float:
        """Return the probability that the sources answer, 0 to 1, from `FEATURES`."""
        logit = self.intercept + sum(
            self.coefficients.get(name, 0.0) * value
            for name, value in zip(FEATURES, features, strict=True)
        )
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


def open_calibration(kind: str, file: Path) -> Calibration:
    """Return the fit on the user's own questions if there is one, else the one that ships.

    :param kind: of the scorer.
    :raises CalibrationError: if the file is no fit, or one for another scorer.
    """
    if file.is_file():
        fitted_for, calibration = _read(file)
        if fitted_for != kind:
            reason = f"fitted for the selector {fitted_for!r}, not {kind!r}"
            raise CalibrationError(file, reason)
        return calibration
    shipped = json.loads(Path(__file__).with_name("calibration.json").read_text(encoding="utf-8"))
    return _calibration(shipped.get(kind, shipped[_ANY]))


def write(file: Path, kind: str, calibration: Calibration, questions: int) -> None:
    """Write a fit so that `open_calibration` finds it."""
    data = {"selector": kind, "questions": questions, **asdict(calibration)}
    file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _read(file: Path) -> tuple[str, Calibration]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return str(data["selector"]), _calibration(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(file, f"not a fit ({error!r})") from error


def _calibration(data: Mapping[str, Any]) -> Calibration:
    unknown = sorted(set(data["coefficients"]).difference(FEATURES))
    if unknown:
        raise ValueError(f"unknown features {unknown}")
    numbers = {name: float(value) for name, value in data["coefficients"].items()}
    return Calibration(numbers, float(data["intercept"]), float(data["threshold"]))


def fit(
    features: NDArray[np.float64],
    answerable: NDArray[np.bool_],
    weights: NDArray[np.float64],
    groups: Sequence[str],
    names: Sequence[str] = FEATURES,
) -> tuple[Calibration, NDArray[np.float64]]:
    """Fit a calibration, and return it with the confidence of each row when it was held out.

    Rows of one group (the article, or the question, that they are about) are held out together.
    The threshold is the confidence that `ANSWERED` of the answerable reach when held out.

    :param features: shape (rows, len(FEATURES)).
    :param weights: how much each row counts.
    :param names: the features that are used.
    """
    from sklearn.linear_model import LogisticRegression

    columns = [FEATURES.index(name) for name in names]
    used = features[:, columns]
    folds = np.unique(np.asarray(groups), return_inverse=True)[1] % FOLDS

    def model(rows: NDArray[np.bool_]) -> Any:
        return LogisticRegression(C=10, max_iter=5000).fit(
            used[rows], answerable[rows], weights[rows]
        )

    held_out = np.zeros(len(used))
    for fold in range(FOLDS):
        rows = folds == fold
        if rows.any():
            held_out[rows] = model(~rows).predict_proba(used[rows])[:, 1]
    whole = model(np.ones(len(used), dtype=bool))
    fitted = Calibration(
        {name: round(float(value), 3) for name, value in zip(names, whole.coef_[0], strict=True)},
        round(float(whole.intercept_[0]), 3),
        round(float(np.quantile(held_out[answerable], 1 - ANSWERED)), 3),
    )
    return fitted, held_out
