"""Turn a trained selector into the graph that ships: OpenVINO, 8-bit integers.

    python -m training.export_selector TRAINED SELQA-TRAIN.json [--target DIR]

Weights and activations are quantised after training with NNCF (pip install nncf), calibrated on
questions and sentences of the training data. NNCF is needed here alone, never to run the program.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import nncf  # noqa: E402
import openvino  # noqa: E402
import torch  # noqa: E402
from benchmarks import sets  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import BertForTokenClassification  # noqa: E402

from training.train_selector import CLS, HEADING, PASSAGE, QUESTION, SCALE, SEP  # noqa: E402

TARGET = Path(__file__).parents[1] / "src" / "qa" / "model"
SAMPLES = 300
#: Word pieces of a row, as in training: a question, headings and a sentence.
MAX_TOKENS = QUESTION + HEADING + PASSAGE


class Scores(torch.nn.Module):
    """From word pieces to the numbers of each."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        """Return shape (rows, word pieces, 2)."""
        found = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )
        return SCALE * found.logits


def samples(tokenizer: Tokenizer, path: Path) -> list[list[Any]]:
    """Return inputs of the graph made of real questions, headings and sentences."""
    inputs = []
    for number, ranking in enumerate(sets.selqa(path)[:SAMPLES]):
        sentence = ranking.sentences[number % len(ranking.sentences)]
        text = f"{ranking.title} - {ranking.section}\n{sentence}"
        asked, read = (
            tokenizer.encode(found, add_special_tokens=False).ids
            for found in (ranking.question, text)
        )
        begin = [tokenizer.token_to_id(CLS), *asked, tokenizer.token_to_id(SEP)]
        ids = np.array([[*begin, *read[:200], tokenizer.token_to_id(SEP)]])
        kinds = (np.arange(ids.shape[1]) >= len(begin)).astype(np.int64)[None]
        inputs.append([ids, np.ones_like(ids), kinds])
    return inputs


def main() -> None:
    """Convert, quantise, and write the folder that `qa.scorer` opens."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=Path, help="folder that train_selector.py wrote")
    parser.add_argument("selqa", type=Path, help="SelQA, training part")
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--float", action="store_true", help="do not quantise, to compare")
    arguments = parser.parse_args()
    model = BertForTokenClassification.from_pretrained(
        arguments.trained, attn_implementation="eager"
    )
    example = torch.ones((2, 8), dtype=torch.int64)
    names = ("input_ids", "attention_mask", "token_type_ids")
    graph = openvino.convert_model(
        Scores(model).eval(),
        example_input=dict.fromkeys(names, example),
        input=[(name, [-1, -1]) for name in names],
    )
    tokenizer = Tokenizer.from_file(str(arguments.trained / "tokenizer.json"))
    if not arguments.float:
        inputs = samples(tokenizer, arguments.selqa)
        graph = nncf.quantize(
            graph,
            nncf.Dataset(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(inputs),
            preset=nncf.QuantizationPreset.MIXED,
        )
        graph = nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_ASYM)
    arguments.target.mkdir(parents=True, exist_ok=True)
    openvino.save_model(graph, str(arguments.target / "model.xml"))
    shutil.copy(arguments.trained / "tokenizer.json", arguments.target)
    facts = {
        **json.loads((arguments.trained / "similarity.json").read_text(encoding="utf-8")),
        "max_tokens": MAX_TOKENS,
        "open": tokenizer.token_to_id(CLS),
        "close": tokenizer.token_to_id(SEP),
    }
    (arguments.target / "model.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
