"""The rule that chooses a threshold, and the draws that must never change."""

import unittest

import numpy as np

from peers.requests import OTHER, draw, outcome, threshold


class Threshold(unittest.TestCase):
    def test_enough_right_answers_show_the_precision(self) -> None:
        hits, sure = np.ones(600, bool), np.linspace(0.6, 0.99, 600)
        self.assertEqual(threshold(hits, sure), 0.6)

    def test_few_must_also_be_expected_right(self) -> None:
        sure = np.repeat([0.999, 0.7], [110, 110])
        self.assertEqual(threshold(np.ones(220, bool), sure), 0.999)

    def test_nothing_is_taken_without_evidence(self) -> None:
        self.assertEqual(threshold(np.ones(29, bool), np.full(29, 0.999)), 2.0)
        self.assertEqual(threshold(np.zeros(900, bool), np.full(900, 0.999)), 2.0)

    def test_equal_confidences_stand_or_fall_together(self) -> None:
        hits = np.append(np.ones(600, bool), np.zeros(100, bool))
        self.assertEqual(threshold(hits, np.full(700, 0.9)), 2.0)


class Draws(unittest.TestCase):
    def test_a_draw_is_fixed_by_its_number(self) -> None:
        self.assertEqual(draw(["a", "b", "c"], 0), draw(["c", "a", "b"], 0))
        self.assertNotEqual(draw(list("abcdefgh"), 0), draw(list("abcdefgh"), 1))

    def test_naming_a_request_in_another_row_is_an_error(self) -> None:
        truth, given = np.array(["a", "a", OTHER]), np.array(["a", "b", "a"])
        taken = np.array([True, False, True])
        found = outcome(truth, given, np.array([0.9, 0.5, 0.8]), taken)
        self.assertEqual((found.precision, found.resolved), (0.5, 0.5))
        self.assertEqual((found.best, found.taken), (0.5, 2))


if __name__ == "__main__":
    unittest.main()
