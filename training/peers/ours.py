"""triaged itself, by its command line: trained on the rows, then asked as it serves."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .answers import Answers

POLICY = Path(__file__).with_name("policy.toml")


class Failed(Exception):
    """The binary is missing, or did not do what it was asked to."""


@dataclass(frozen=True)
class Triaged:
    """The binary and the one recipe that all sets are trained with; only columns are named."""

    binary: Path
    recipe: Path
    name: str = "triaged"

    def version(self) -> str:
        """What the binary says it is."""
        return self._run("--version").strip()

    def answer(self, train: Path, asked: list[Path], model: Path) -> Answers:
        """Trains on a file of labelled tickets and decides those of other files.

        Thresholds do not matter: a decision names the best category and its probability even
        where a person has to look.
        """
        start = time.perf_counter()
        columns = ["--category-column", "label", "--id-column", "ticket_id"]
        recipe = ["--recipe", str(self.recipe)]
        self._run("train", "--data", str(train), *recipe, *columns, "--out", str(model))
        seconds = time.perf_counter() - start
        files = [str(file) for file in asked]
        serve = ["--model", str(model), "--config", str(POLICY)]
        labels, confidences = [], []
        # Not splitlines, which also cuts at rarer separators that texts may hold.
        for line in self._run("classify", *serve, *files).removesuffix("\n").split("\n"):
            decision = json.loads(line)
            if "category" not in decision:
                raise Failed(f"a ticket was not decided: {decision.get('reason')}")
            labels.append(decision["category"]["label"])
            confidences.append(decision["category"]["confidence"])
        confidence = np.array(confidences, dtype=float)
        return Answers(labels, confidence, confidence, True, seconds)

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [self.binary, *arguments], capture_output=True, encoding="utf-8", check=False
            )
        except OSError as error:
            raise Failed(f"{self.binary} cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            raise Failed(f"{self.binary.name} {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
