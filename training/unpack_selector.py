"""Turn the selector that ships back into weights that training can go on from.

    python -m training.unpack_selector OUT
    python -m training.train_selector SQUAD-SENTENCES-TRAIN.tsv SELQA-TRAIN.json NEXT --start OUT

The graph holds 8-bit integers; what it was rounded from is not kept, and not needed: embeddings
were never trained, so they are taken from the encoder, and the rest comes within some percent of
what was trained.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from transformers import BertForTokenClassification

from qa.encoder import model_folder
from training.train_selector import SIMILARITY

SHIPPED = Path(__file__).parents[1] / "src" / "qa" / "model"
#: What training leaves as it is.
UNTRAINED = "bert.embeddings."


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
    arguments = parser.parse_args()
    found = weights(openvino.Core().read_model(SHIPPED / "model.xml"))
    model = BertForTokenClassification.from_pretrained(
        model_folder("all-MiniLM-L6-v2"), num_labels=len(found["classifier.weight"])
    )
    known = model.state_dict()
    trained = {name for name in known if not name.startswith(UNTRAINED)}
    if missing := sorted(trained.difference(found)):
        raise SystemExit(f"{SHIPPED / 'model.xml'} lacks {missing}")
    model.load_state_dict({**known, **{name: torch.tensor(found[name]) for name in trained}})
    model.save_pretrained(arguments.out)
    shutil.copy(SHIPPED / "tokenizer.json", arguments.out)
    facts = json.loads((SHIPPED / "model.json").read_text(encoding="utf-8"))
    similarity = {"slope": facts["slope"], "constant": facts["constant"]}
    (arguments.out / SIMILARITY).write_text(json.dumps(similarity), encoding="utf-8")


def weights(graph: Any) -> dict[str, Any]:
    """Return the weights of linear layers and norms of a graph by their names in torch."""
    found = {}
    for node in graph.get_ordered_ops():
        name = re.match(r"__module\.model\.(.+?)/aten::(linear|layer_norm)/(\w+)$", _name(node))
        if not name:
            continue
        layer, operation = name[1], name[3]
        if operation == "MatMul":
            found[f"{layer}.weight"] = _value(_input(node, 1)) * _smoothing(_input(node, 0))
        elif operation in ("Add", "Multiply_1"):
            constant = next(part for part in (_input(node, 0), _input(node, 1)) if _fixed(part))
            kind = "bias" if operation == "Add" else "weight"
            found[f"{layer}.{kind}"] = _value(constant).reshape(-1)
    return found


def _name(node: Any) -> str:
    return str(node.get_friendly_name())


def _input(node: Any, place: int) -> Any:
    return node.input_value(place).get_node()


def _smoothing(node: Any) -> Any:
    """Return what the input of a layer was multiplied with, and its weights divided by."""
    while node.get_type_name() in ("FakeQuantize", "Reshape"):
        node = _input(node, 0)
    return _value(_input(node, 1)).reshape(-1) if "nncf_smooth_quant" in _name(node) else 1.0


def _fixed(node: Any) -> bool:
    return node.get_type_name() == "Constant" or (
        node.get_type_name() in ("Convert", "Multiply", "Subtract")
        and all(_fixed(source.get_node()) for source in node.input_values())
    )


def _value(node: Any) -> Any:
    """Return a constant that may be stored as integers with a scale."""
    kind = node.get_type_name()
    if kind == "Constant":
        return node.get_data().astype(np.float32)
    parts = [_value(source.get_node()) for source in node.input_values()]
    if kind == "Multiply":
        return parts[0] * parts[1]
    return parts[0] - parts[1] if kind == "Subtract" else parts[0]


if __name__ == "__main__":
    main()
