"""The scores of redacted tickets, one a line: python read_model.py MODEL_DIR < tickets.jsonl"""

import json
import math
import sys

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from read_ticket import Reader


class Model:
    def __init__(self, folder):
        with open(f"{folder}/manifest.json", encoding="utf-8") as file:
            self.manifest = json.load(file)
        self.tensors = load_file(f"{folder}/weights.safetensors")
        self.reader = Reader(self.manifest, Tokenizer.from_file(f"{folder}/tokenizer.json"))

    def features(self, ticket):
        """(word, pair or field, id of a feature that it brings, value); together of length 1."""
        read, scales = self.reader.features(ticket), self.tensors["scales"]
        features = [(unit, i, value * float(scales[i])) for unit, i, value in read]
        length = math.sqrt(sum(value * value for *_, value in features)) or 1.0
        return [(unit, i, value / length) for unit, i, value in features]

    def scores(self, ticket):
        """{target: {label: score}}, before calibration. The heads' columns stand side by side."""
        sums = np.concatenate([self.tensors[f"bias.{h['target']}"] for h in self.manifest["heads"]])
        for _, i, value in self.features(ticket):
            sums += value * self.tensors["weights"][i]
        scores = iter(sums.tolist())
        return {h["target"]: dict(zip(h["labels"], scores)) for h in self.manifest["heads"]}


if __name__ == "__main__":
    model = Model(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(model.scores(json.loads(line)), ensure_ascii=False))
