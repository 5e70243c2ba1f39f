"""The metrics against values worked out by hand, and against scikit-learn's."""

import unittest

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from peers import metrics


class MacroF1(unittest.TestCase):
    def test_a_label_that_is_only_answered_counts_against_the_others(self) -> None:
        (truth, said), labels = metrics.numbered(["a", "a", "b", "b"], ["a", "c", "b", "b"])
        self.assertEqual(labels, 3)
        self.assertAlmostEqual(metrics.macro_f1(truth, said, labels), (2 / 3 + 1) / 2)

    def test_equals_scikit_learns_over_the_labels_that_are_there(self) -> None:
        draw = np.random.default_rng(1)
        truth, said = draw.integers(5, size=200), draw.integers(7, size=200)
        expected = f1_score(truth, said, labels=np.unique(truth), average="macro")
        self.assertAlmostEqual(metrics.macro_f1(truth, said, 7), expected)


class Coverage(unittest.TestCase):
    def test_takes_the_largest_share_that_is_right_often_enough(self) -> None:
        right = np.array([True, False, True, True, False])
        confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
        self.assertEqual(metrics.coverage(right, confidence, 0.75), 0.8)
        self.assertEqual(metrics.coverage(right, confidence, 1.0), 0.2)

    def test_does_not_choose_among_equals(self) -> None:
        right = np.array([True, True, False])
        self.assertEqual(metrics.coverage(right, np.array([0.5, 0.5, 0.5])), 0.0)
        self.assertAlmostEqual(metrics.coverage(right, np.array([0.6, 0.5, 0.5])), 1 / 3)

    def test_is_all_where_95_of_100_are_right(self) -> None:
        right = np.arange(100) < 95
        self.assertEqual(metrics.coverage(right, np.linspace(1, 0, 100)), 1.0)


class CalibrationError(unittest.TestCase):
    def test_is_the_gap_between_how_sure_and_how_right(self) -> None:
        right = np.array([True, True, False, False])
        self.assertAlmostEqual(metrics.calibration_error(right, np.full(4, 0.9)), 0.4)
        self.assertAlmostEqual(metrics.calibration_error(right, np.full(4, 0.5)), 0.0)

    def test_weighs_bins_and_takes_a_confidence_of_one(self) -> None:
        right = np.array([True, False, False])
        confidence = np.array([1.0, 0.1, 0.2])
        self.assertAlmostEqual(metrics.calibration_error(right, confidence), 0.1)


class OutOfScope(unittest.TestCase):
    def test_auroc_equals_scikit_learns_with_draws(self) -> None:
        draw = np.random.default_rng(2)
        inside, outside = draw.integers(3, 10, 80) / 10, draw.integers(0, 7, 50) / 10
        truth = np.repeat([1, 0], [80, 50])
        expected = roc_auc_score(truth, np.concatenate([inside, outside]))
        self.assertAlmostEqual(metrics.auroc(inside, outside), expected)

    def test_recall_is_what_falls_below_the_bar_that_the_kept_pass(self) -> None:
        inside = np.arange(1, 21) / 20  # 19 of the 20 are 0.1 or more
        outside = np.array([0.04, 0.06, 0.1, 0.5])
        self.assertEqual(metrics.outside_recall(inside, outside), 0.5)


if __name__ == "__main__":
    unittest.main()
