"""The scores of tickets from a model's files: python read_model.py MODEL_DIR < tickets.jsonl

A line is a ticket, redacted; out comes {target: {label: score}} before calibration.
"""

import json, math, re, sys

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer


class Model:
    def __init__(self, folder):
        with open(f"{folder}/manifest.json", encoding="utf-8") as file:
            self.manifest = json.load(file)
        self.tensors = load_file(f"{folder}/weights.safetensors")
        self.tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
        self.ids = self.tokenizer.get_vocab()

    def words(self, text):
        normal = self.tokenizer.normalizer.normalize_str(text)
        words = [word for word, _ in self.tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
        return [w if w in self.ids else self.shape(w) for w in words]

    def shape(self, word):
        hexadecimal = re.fullmatch("0x[0-9a-f]+|(?=.*[0-9])[0-9a-f]{8,}", word)
        return re.sub("[0-9a-f]" if hexadecimal else "[0-9]", "0", word)

    def grams(self, word):
        s = f"<{word}>" if len(word) <= 100 else ""
        return {f"#{s[i : i + n]}" for n in range(2, 6) for i in range(len(s) - n + 1)} - {f"#{s}"}

    def fields(self, ticket):
        """Each field that the model reads and the ticket has, as the vocabulary writes it."""
        for field in self.manifest.get("fields", []):
            value = ticket
            for key in field["from"].split("/")[1:]:  # a JSON pointer; lists are not looked into
                key = key.replace("~1", "/").replace("~0", "~")
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, (str, int, float)):
                text = value if isinstance(value, str) else json.dumps(value)
                normal = self.tokenizer.normalizer.normalize_str(text)
                yield f"@{field['name']}={' '.join(normal.split())}"

    def features(self, ticket):
        """(word, pair or field, id of a feature that it brings, value); together of length 1."""
        counts, features = dict.fromkeys(self.fields(ticket), 1.0), []
        for part, weight in (("subject", self.manifest["subject_weight"]), ("body", 1.0)):
            words = self.words(ticket.get(part) or "")
            for unit in words + [f"{a} {b}" for a, b in zip(words, words[1:])]:
                counts[unit] = counts.get(unit, 0.0) + weight
        for unit, count in counts.items():
            g = 1 + math.log(count) if count > 1 else count
            one = " " not in unit and unit[0] != "@"
            grams = [gram for gram in self.grams(unit) if gram in self.ids] if one else []
            shares = {unit: 1.0} | {gram: 1 / math.sqrt(len(grams)) for gram in grams}
            features += [(unit, self.ids[f], g * s) for f, s in shares.items() if f in self.ids]
        features = [(unit, i, v * float(self.tensors["scales"][i])) for unit, i, v in features]
        length = math.sqrt(sum(v * v for *_, v in features)) or 1.0
        return [(unit, i, v / length) for unit, i, v in features]

    def scores(self, ticket):
        """One for each label, those of all heads side by side."""
        sums = np.concatenate([self.tensors[f"bias.{h['target']}"] for h in self.manifest["heads"]])
        for _, i, value in self.features(ticket):
            sums += value * self.tensors["weights"][i]
        return sums


if __name__ == "__main__":
    model = Model(sys.argv[1])
    for ticket in map(json.loads, sys.stdin):
        scores = iter(model.scores(ticket).tolist())
        heads = {h["target"]: dict(zip(h["labels"], scores)) for h in model.manifest["heads"]}
        print(json.dumps(heads, ensure_ascii=False))
