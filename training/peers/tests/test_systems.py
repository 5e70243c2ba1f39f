"""Every system on a handful of texts; the binary is played by a script."""

import json
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import numpy as np

from peers import answers
from peers.answers import Answers
from peers.ours import Failed, Triaged
from peers.systems import PEERS, FastText

TEXTS = ["printer has no paper", "printer jams again", "cannot log in", "log in fails"] * 5
LABELS = ["paper jam", "paper jam", "access", "access"] * 5
# One row each: fewer than there are folds.
RARE = ["order a chair", "swap the desk"]
RARE_LABELS = ["chair", "desk"]

STAND_IN = """#!{python}
import json, sys
arguments = sys.argv[1:]
if arguments[0] == "train":
    sys.exit(0 if arguments[arguments.index("--data") + 1].endswith("train.jsonl") else "no data")
sys.stdout.reconfigure(encoding="utf-8")
for file in arguments[5:]:
    for line in open(file, encoding="utf-8"):
        words = json.loads(line)["body"].split(" ")
        if words == [""]:
            print(json.dumps({{"outcome": "dead", "reason": "bad_field"}}))
        else:
            category = {{"label": words[0], "confidence": 0.25}}
            print(json.dumps({{"category": category}}, ensure_ascii=False))
"""


class Peers(unittest.TestCase):
    def test_each_learns_what_is_plain_and_says_how_sure_it_is(self) -> None:
        asked = ["the printer jams", "log in fails", "", "?"]
        for peer in PEERS:
            with self.subTest(peer.name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rare labels in folds
                got = peer.answer(TEXTS + RARE, LABELS + RARE_LABELS, asked)
                self.assertEqual(got.labels[:2], ["paper jam", "access"])
                self.assertEqual((len(got.labels), got.confidence.shape), (4, (4,)))
                self.assertEqual(got.known.shape, (4,))
                if got.probability:
                    self.assertTrue(np.all((got.confidence >= 0) & (got.confidence <= 1)))
                again = peer.answer(TEXTS + RARE, LABELS + RARE_LABELS, asked)
                self.assertEqual(got.labels, again.labels)
                np.testing.assert_array_equal(got.confidence, again.confidence)

    def test_fasttext_does_not_learn_label_by_label(self) -> None:
        given: list[str] = []

        def read(file: str, **_: object) -> mock.Mock:
            given.extend(line.split()[0] for line in Path(file).read_text().splitlines())
            return mock.Mock(predict=mock.Mock(return_value=([["__label__0"]], [[1.0]])))

        labels = ["a"] * 50 + ["b"] * 50
        with mock.patch("peers.systems.fasttext.train_supervised", read):
            FastText(rate=0.1).answer(["x"] * 100, labels, ["x"])
        self.assertEqual(given.count("__label__0"), 50)
        self.assertIn("__label__1", given[:20])

    def test_names_and_settings_tell_them_apart(self) -> None:
        self.assertEqual(len({peer.name for peer in PEERS}), len(PEERS))
        self.assertEqual(len({peer.settings for peer in PEERS}), len(PEERS))


class Kept(unittest.TestCase):
    def test_answers_come_back_for_the_same_key_only(self) -> None:
        given = Answers(["가", "b"], np.array([0.1, 1 / 3]), np.array([-7.0, 2.0]), True, 1.5)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "answers.json")
            self.assertIsNone(answers.load("key", file))
            answers.save(given, "key", file)
            self.assertIsNone(answers.load("other", file))
            kept = answers.load("key", file)
        assert kept is not None
        self.assertEqual((kept.labels, kept.probability, kept.seconds), (["가", "b"], True, 1.5))
        np.testing.assert_array_equal(kept.confidence, given.confidence)
        np.testing.assert_array_equal(kept.known, given.known)


class Ours(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        binary = self.folder / "triaged"
        binary.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
        binary.chmod(0o700)
        self.ours = Triaged(binary, Path("recipe.toml"))

    def file(self, name: str, *bodies: str) -> Path:
        path = self.folder / name
        lines = (json.dumps({"ticket_id": "0", "body": body}) + "\n" for body in bodies)
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def test_decisions_come_in_the_order_of_the_files(self) -> None:
        train = self.file("train.jsonl")
        asked = [self.file("test.jsonl", "a x", "b\u2028 y"), self.file("outside.jsonl", "c")]
        got = self.ours.answer(train, asked, self.folder / "model")
        self.assertEqual((got.labels, got.confidence.tolist()), (["a", "b\u2028", "c"], [0.25] * 3))

    def test_what_goes_wrong_is_said(self) -> None:
        train, bad = self.file("train.jsonl"), self.file("test.jsonl", "")
        with self.assertRaisesRegex(Failed, "bad_field"):
            self.ours.answer(train, [bad], self.folder / "model")
        with self.assertRaisesRegex(Failed, "no data"):
            self.ours.answer(bad, [], self.folder / "model")
        with self.assertRaisesRegex(Failed, "cannot be run"):
            Triaged(self.folder / "nothing", Path("recipe.toml")).version()


if __name__ == "__main__":
    unittest.main()
