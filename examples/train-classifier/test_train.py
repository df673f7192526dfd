#!/usr/bin/env python3
"""Tests of the example: python3 -m unittest test_train (in this folder)."""

import csv
import json
import math
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import make_measurements  # noqa: E402
import train  # noqa: E402


def run(*arguments, cwd, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AITBC_")}
    return subprocess.run(
        [sys.executable, str(HERE / "train.py"), *arguments], cwd=cwd, env={**inherited, **environment},
        capture_output=True, text=True, timeout=120, check=False)


FEW = ["--epochs", "7", "--passes", "2"]


class WholeRun(unittest.TestCase):
    """One run as a job sees it: the full defaults, results and progress by environment."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.work = pathlib.Path(cls.folder.name)
        cls.out = cls.work / "artifacts"
        cls.out.mkdir()
        progress = cls.work / "progress"
        progress.touch()
        table = str(HERE / "measurements.csv")
        cls.done = run(table, cwd=cls.work, AITBC_OUTPUT_DIR=str(cls.out), AITBC_PROGRESS=str(progress))
        cls.progress = progress.read_text().splitlines()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_succeeds_and_learns(self):
        self.assertEqual(self.done.returncode, 0, self.done.stderr)
        model = json.loads((self.out / "model.json").read_text())
        last = model["history"][-1]
        self.assertGreater(last["test_accuracy"], 0.9)
        self.assertLess(last["train_loss"], model["history"][0]["train_loss"] / 2)
        self.assertEqual(model["classes"], ["amber", "slate", "tall"])

    def test_leaves_exactly_its_files(self):
        names = sorted(path.name for path in self.out.iterdir())
        self.assertEqual(names, ["confusion_matrix.csv", "learning_curve.svg", "model.json", "result.txt"])

    def test_streams(self):
        epochs = [line for line in self.done.stdout.splitlines() if line.startswith("epoch ")]
        self.assertEqual(len(epochs), 14)
        self.assertRegex(epochs[0], r"^epoch  1/14  loss \d\.\d{4}  accuracy \d\.\d{3} ")
        self.assertIn("warning: the held-out classes are not balanced", self.done.stderr)
        self.assertIn("learning rate halved", self.done.stderr)
        self.assertNotIn("note:", self.done.stdout)

    def test_progress_lines(self):
        self.assertEqual(len(self.progress), 15)
        parsed = [re.fullmatch(r"(\d+) epoch (\d+) of 14", line) for line in self.progress]
        self.assertTrue(all(parsed), self.progress)
        percents = [int(match[1]) for match in parsed]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual((percents[0], percents[-1]), (0, 99))

    def test_confusion_matrix_counts_the_held_out_rows(self):
        with open(self.out / "confusion_matrix.csv", newline="") as file:
            rows = list(csv.reader(file))
        counts = [[int(cell) for cell in row[1:]] for row in rows[1:]]
        total = sum(map(sum, counts))
        accuracy = sum(counts[i][i] for i in range(3)) / total
        model = json.loads((self.out / "model.json").read_text())
        self.assertAlmostEqual(accuracy, model["history"][-1]["test_accuracy"])
        self.assertIn(f"{accuracy:.1%} on {total} rows", (self.out / "result.txt").read_text())

    def test_curve_is_well_formed_and_inside_its_frame(self):
        root = ElementTree.parse(self.out / "learning_curve.svg").getroot()
        space = "{http://www.w3.org/2000/svg}"
        lines = root.findall(f"{space}polyline")
        self.assertEqual(len(lines), 4)
        for line in lines:
            points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
            self.assertEqual(len(points), 14)
            self.assertTrue(all(0 <= x <= 860 and 40 <= y <= 270 for x, y in points), points)

    def test_model_file_alone_is_enough_to_classify(self):
        model = json.loads((self.out / "model.json").read_text())
        _, rows, _ = train.read_table(HERE / "measurements.csv")
        hits = 0
        for values, label in rows:
            chances = train.predict(model["weights"], train.expand(values, model["mean"], model["deviation"]))
            hits += chances.index(max(chances)) == label
        self.assertGreater(hits / len(rows), 0.9)


class ShortRuns(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.table = str(HERE / "measurements.csv")

    def test_same_seed_same_bytes_other_seed_other_model(self):
        for name, seed in [("a", "1"), ("b", "1"), ("c", "2")]:
            done = run(self.table, "--output-dir", name, "--seed", seed, *FEW, cwd=self.work)
            self.assertEqual(done.returncode, 0, done.stderr)
        read = {name: (self.work / name / "model.json").read_bytes() for name in "abc"}
        self.assertEqual(read["a"], read["b"])
        self.assertNotEqual(read["a"], read["c"])

    def test_the_only_epoch(self):
        done = run(self.table, "--epochs", "1", "--passes", "1", cwd=self.work)
        self.assertEqual(done.returncode, 0, done.stderr)
        ElementTree.parse(self.work / "out" / "learning_curve.svg")

    @unittest.skipUnless(hasattr(os, "mkfifo"), "needs named pipes")
    def test_progress_through_a_pipe(self):
        pipe = self.work / "pipe"
        os.mkfifo(pipe)
        # Open for both, so that the pipe lives on between the writer's openings.
        descriptor = os.open(pipe, os.O_RDWR)
        self.addCleanup(os.close, descriptor)
        done = run(self.table, *FEW, cwd=self.work, AITBC_PROGRESS=str(pipe))
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = os.read(descriptor, 65536).decode().splitlines()
        self.assertEqual(lines[0], "0 epoch 0 of 7")
        self.assertIn("43 epoch 3 of 7", lines)
        self.assertEqual(len(lines), 8)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "needs named pipes")
    def test_nobody_reads_progress(self):
        os.mkfifo(self.work / "pipe")
        for path in [self.work / "pipe", self.work / "no" / "such", self.work]:
            done = run(self.table, *FEW, cwd=self.work, AITBC_PROGRESS=str(path))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_bad_input_is_refused_in_words(self):
        cases = {
            "missing.csv": (None, "No such file"),
            "empty.csv": ("", "needs a header"),
            "short.csv": ("a,b,c\n1,2\n", "line 2: 2 fields, expected 3"),
            "word.csv": ("a,b,c\n1,x,k\n", "line 2: a feature is not a number"),
            "single.csv": ("a,c\n1,k\n2,k\n", "at least two classes"),
            "lonely.csv": ("a,c\n1,k\n2,k\n3,m\n", "class m needs at least two rows"),
        }
        for name, (text, words) in cases.items():
            if text is not None:
                (self.work / name).write_text(text)
            done = run(name, "--output-dir", "never", cwd=self.work)
            self.assertEqual(done.returncode, 2, name)
            self.assertIn(words, done.stderr)
            self.assertFalse((self.work / "never").exists())
        for option in [["--epochs", "0"], ["--held-out", "1"], ["--held-out", "0"], ["--batch", "-3"]]:
            self.assertEqual(run(self.table, *option, cwd=self.work).returncode, 2, option)


class Parts(unittest.TestCase):
    def test_softmax_is_stable_and_sums_to_one(self):
        for scores in [[0.0, 0.0], [1000.0, 0.0, -1000.0], [-1e9, -1e9, -1e9]]:
            self.assertAlmostEqual(sum(train.softmax(scores)), 1.0)

    def test_split_holds_out_each_class_and_loses_no_row(self):
        rows = [([float(i)], i % 3) for i in range(101)]
        learn, held = train.split(rows, 3, 0.25, random.Random(5))
        self.assertEqual(sorted(learn + held), sorted(rows))
        for index in range(3):
            self.assertAlmostEqual(sum(label == index for _, label in held) / 34, 0.25, delta=0.03)

    def test_step_follows_the_numerical_gradient(self):
        rng = random.Random(3)
        trainer = train.Trainer(3, 4, 1.0, 8, 0.0, rng)
        batch = [([rng.gauss(0, 1) for _ in range(3)] + [1.0], rng.randrange(3)) for _ in range(8)]
        before = [row[:] for row in trainer.weights]
        trainer.step(batch)
        nudge = 1e-6
        for k in range(3):
            for i in range(4):
                up, down = [row[:] for row in before], [row[:] for row in before]
                up[k][i] += nudge
                down[k][i] -= nudge
                slope = (train.evaluate(up, batch)[0] - train.evaluate(down, batch)[0]) / (2 * nudge)
                self.assertTrue(math.isclose(before[k][i] - trainer.weights[k][i], slope, rel_tol=1e-4, abs_tol=1e-7))

    def test_shipped_table_is_what_the_generator_writes(self):
        made = subprocess.run(
            [sys.executable, make_measurements.__file__], capture_output=True, check=True, timeout=60).stdout
        self.assertEqual(made, (HERE / "measurements.csv").read_bytes())


if __name__ == "__main__":
    unittest.main()
