"""The split rules, on rows made here."""

import json
import random
import tempfile
import unittest
from pathlib import Path

from peers import sets
from peers.sets import Row


def rows(labels: dict[str, int]) -> list[Row]:
    """So many rows of each label, every text different."""
    return [
        Row(f"{label}{i}", "", f"{label} says {chr(97 + i // 26)}{chr(97 + i % 26)}", label)
        for label, count in labels.items()
        for i in range(count)
    ]


class ByHash(unittest.TestCase):
    def test_a_fifth_of_every_label_is_tested_and_nothing_is_lost(self) -> None:
        given = rows({"a": 100, "b": 20, "c": 2})
        split = sets.by_hash(given)
        held_out = [row.label for row in split.test]
        self.assertEqual([held_out.count(label) for label in "abc"], [20, 4, 0])
        self.assertCountEqual(split.train + split.test, given)

    def test_the_order_of_the_rows_does_not_matter_but_the_seed_does(self) -> None:
        given = rows({"a": 100, "b": 20})
        shuffled = random.Random(3).sample(given, len(given))
        self.assertEqual(sets.by_hash(given), sets.by_hash(shuffled))
        self.assertNotEqual(sets.by_hash(given), sets.by_hash(given, seed=21))

    def test_texts_that_differ_only_in_spelling_stay_together(self) -> None:
        twins = [
            Row("x", "", row.text.upper().replace(" ", ", ") + "!", "b") for row in rows({"a": 100})
        ]
        split = sets.by_hash(rows({"a": 100}) + twins)
        tested = {sets.normalised(row.text) for row in split.test}
        trained = {sets.normalised(row.text) for row in split.train}
        self.assertEqual((len(tested), len(trained)), (20, 80))
        self.assertFalse(tested & trained)

    def test_numbers_and_wide_letters_are_spelling(self) -> None:
        self.assertEqual(sets.normalised("Ticket-4711:  ＶＰＮ!"), sets.normalised("ticket 12 vpn"))
        self.assertNotEqual(sets.normalised("접속 불가"), sets.normalised("접속 가능"))


class ByDate(unittest.TestCase):
    def test_later_days_are_tested_without_what_was_seen(self) -> None:
        given = [
            Row(str(i), "", f"text {chr(97 + i)}", "a", f"2024-01-0{1 + i // 2}") for i in range(10)
        ]
        again = Row("10", "", "Text A", "a", "2024-01-05")
        split = sets.by_date([*reversed(given), again])
        self.assertEqual([row.id for row in split.train], [str(i) for i in range(8)])
        self.assertEqual([row.id for row in split.test], ["8", "9"])


class Files(unittest.TestCase):
    def test_rows_without_text_or_label_are_left_out_and_written_ones_are_tickets(self) -> None:
        given = [
            {"id": 1, "subject": "VPN", "body": "접속 불가", "kind": 3},
            {"id": 2, "subject": " ", "body": "", "kind": 3},
            {"id": 3, "subject": "x", "body": "y", "kind": " "},
        ]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "rows.jsonl")
            file.write_text("\n".join(json.dumps(row) for row in given), encoding="utf-8")
            read = sets.read(file, "kind", body="body", subject="subject")
            self.assertEqual(read, [Row("1", "VPN", "접속 불가", "3")])
            sets.write(read, file)
            ticket = json.loads(file.read_text(encoding="utf-8"))
        self.assertLessEqual(
            {"ticket_id": "0", "subject": "VPN", "body": "접속 불가", "label": "3"}.items(),
            ticket.items(),
        )


if __name__ == "__main__":
    unittest.main()
