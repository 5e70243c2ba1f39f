"""The scores of a ticket from a model's files: python read_model.py MODEL_DIR < tickets.jsonl

Each line has a redacted "subject" and "body"; out comes {target: {label: score}} before calibration.
"""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

folder = Path(sys.argv[1])
manifest = json.loads((folder / "manifest.json").read_text())
tensors = load_file(folder / "weights.safetensors")
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
ids = tokenizer.get_vocab()


def words(text: str) -> list[str]:
    normal = tokenizer.normalizer.normalize_str(text)
    found = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
    return [w if w in ids else re.sub("[0-9]", "0", w) for w in found]


def grams(word: str) -> list[int]:
    s = f"<{word}>"
    all_of_it = {s[i : i + n] for n in range(2, 6) for i in range(len(s) - n + 1)} - {s}
    return [ids[f"#{g}"] for g in all_of_it if f"#{g}" in ids] if len(word) <= 100 else []


def scores(subject: str, body: str) -> dict[str, dict[str, float]]:
    counts: dict[str, float] = {}
    for text, weight in ((subject, manifest["subject_weight"]), (body, 1.0)):
        found = words(text)
        pairs = [f"{a} {b}" for a, b in zip(found, found[1:]) if f"{a} {b}" in ids]
        for unit in found + pairs:
            counts[unit] = counts.get(unit, 0.0) + weight
    total, squares = 0.0, 0.0
    for unit, count in counts.items():
        g = 1 + math.log(count) if count > 1 else count
        parts = [(ids[unit], 1.0)] if unit in ids else []
        known = grams(unit) if " " not in unit else []
        for i, share in parts + [(k, 1 / math.sqrt(len(known))) for k in known]:
            value = g * share * float(tensors["scales"][i])
            total, squares = total + value * tensors["weights"][i].astype(float), squares + value * value
    summed = np.zeros(tensors["weights"].shape[1]) + total / math.sqrt(squares or 1.0)
    out, at = {}, 0
    for head in manifest["heads"]:
        n = len(head["labels"])
        values = summed[at : at + n] + tensors[f"bias.{head['target']}"]
        out[head["target"]], at = dict(zip(head["labels"], map(float, values))), at + n
    return out


for line in sys.stdin:
    ticket = json.loads(line)
    print(json.dumps(scores(ticket.get("subject", ""), ticket.get("body", "")), ensure_ascii=False))
