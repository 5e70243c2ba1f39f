"""What a model reads of a ticket: words, pairs of them, n-grams within words, and fields."""

import json
import math
import re


class Reader:
    def __init__(self, manifest, tokenizer):
        self.manifest, self.tokenizer, self.ids = manifest, tokenizer, tokenizer.get_vocab()

    def words(self, text):
        normal = self.tokenizer.normalizer.normalize_str(text)
        words = [word for word, _ in self.tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
        return [word if word in self.ids else self.shape(word) for word in words]

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
        """(word, pair or field, id of a feature that it brings, how much of it)."""
        counts = dict.fromkeys(self.fields(ticket), 1.0)
        for part, weight in (("subject", self.manifest["subject_weight"]), ("body", 1.0)):
            words = self.words(ticket.get(part) or "")
            for unit in words + [f"{a} {b}" for a, b in zip(words, words[1:])]:
                counts[unit] = counts.get(unit, 0.0) + weight
        for unit, count in counts.items():
            count = 1 + math.log(count) if count > 1 else count
            one = " " not in unit and unit[0] != "@"
            grams = [gram for gram in self.grams(unit) if gram in self.ids] if one else []
            shares = {unit: 1.0} | {gram: 1 / math.sqrt(len(grams)) for gram in grams}
            yield from ((unit, self.ids[f], count * s) for f, s in shares.items() if f in self.ids)
