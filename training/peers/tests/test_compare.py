"""The tests of significance on pairs whose answer is known."""

import unittest

import numpy as np
from scipy.stats import binomtest

from peers import compare
from peers.metrics import Flags


def pairs(only_ours: int, only_theirs: int, both: int) -> tuple[Flags, Flags]:
    """Who is right, with so many rows of each kind."""
    ours = np.repeat([True, False, True], [only_ours, only_theirs, both])
    theirs = np.repeat([False, True, True], [only_ours, only_theirs, both])
    return ours, theirs


class McNemar(unittest.TestCase):
    def test_is_the_exact_test_less_the_probability_of_what_was_seen(self) -> None:
        exact = binomtest(3, 15, 0.5).pvalue
        seen = 455 / 2**15  # 15 over 3
        self.assertAlmostEqual(compare.mcnemar(*pairs(12, 3, 50)), exact - seen)

    def test_sees_no_difference_where_there_is_none(self) -> None:
        self.assertAlmostEqual(compare.mcnemar(*pairs(0, 0, 9)), 1.0)
        self.assertAlmostEqual(compare.mcnemar(*pairs(7, 7, 9)), 1.0)

    def test_verdicts(self) -> None:
        self.assertEqual(compare.accuracy_verdict(*pairs(40, 10, 50)), "better")
        self.assertEqual(compare.accuracy_verdict(*pairs(10, 40, 50)), "beaten")
        self.assertEqual(compare.accuracy_verdict(*pairs(10, 13, 50)), "not beaten")


class Bootstrap(unittest.TestCase):
    def test_finds_a_clear_difference_and_repeats_itself(self) -> None:
        truth = np.arange(300) % 3
        theirs = np.where(np.arange(300) % 5 == 0, (truth + 1) % 3, truth)
        found = compare.macro_f1_difference(truth, truth, theirs, 3)
        self.assertAlmostEqual(found.value, 0.2)
        self.assertTrue(0.1 < found.low < 0.2 < found.high < 0.3)
        self.assertEqual(compare.interval_verdict(found), "better")
        self.assertEqual(found, compare.macro_f1_difference(truth, truth, theirs, 3))

    def test_is_nothing_for_the_same_answers(self) -> None:
        truth = np.arange(60) % 2
        found = compare.macro_f1_difference(truth, truth, truth, 2)
        self.assertEqual((found.low, found.value, found.high), (0.0, 0.0, 0.0))
        self.assertEqual(compare.interval_verdict(found), "not beaten")


if __name__ == "__main__":
    unittest.main()
