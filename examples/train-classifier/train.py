#!/usr/bin/env python3
"""Trains a small classifier on a CSV with nothing but Python's standard library.

Multinomial logistic regression, mini-batch gradient descent with momentum, inputs standardised on the training rows.
The last column of the CSV is the class, the others are numbers; rows with an empty number are left out.

    python3 train.py measurements.csv --output-dir out

As a job it takes the place for its results from $AITBC_OUTPUT_DIR and tells its progress to $AITBC_PROGRESS.
The same seed gives the same model. Python 3.9 or later.
"""

import argparse
import csv
import json
import math
import os
import random
import sys
import time


def note(text):
    """Remarks go to stderr, so that stdout stays one line for each epoch."""
    print(text, file=sys.stderr, flush=True)


def tell_progress(percent, text):
    """One line such as `45 epoch 3 of 7`. A training never fails because nobody listens."""
    path = os.environ.get("AITBC_PROGRESS")
    if not path:
        return
    try:
        # Without O_NONBLOCK, opening a pipe that has no reader would wait for ever.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        try:
            os.write(descriptor, f"{percent} {text}\n".encode())
        finally:
            os.close(descriptor)
    except OSError:
        pass


# --- Data


def read_table(path):
    """Returns (feature names, rows, class names); a row is (list of numbers, class index)."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, None)
        if not header or len(header) < 2:
            raise ValueError(f"{path}: needs a header with at least one feature and a class")
        raw = []
        skipped = 0
        for row in reader:
            if len(row) != len(header):
                raise ValueError(f"{path}, line {reader.line_num}: {len(row)} fields, expected {len(header)}")
            if any(cell.strip() == "" for cell in row):
                skipped += 1
                continue
            try:
                raw.append(([float(cell) for cell in row[:-1]], row[-1]))
            except ValueError:
                raise ValueError(f"{path}, line {reader.line_num}: a feature is not a number") from None
    if skipped:
        note(f"note: {skipped} of {len(raw) + skipped} rows have a missing value and are left out")
    classes = sorted({label for _, label in raw})
    if len(classes) < 2:
        raise ValueError(f"{path}: needs rows of at least two classes")
    for name in classes:
        if sum(label == name for _, label in raw) < 2:
            raise ValueError(f"{path}: class {name} needs at least two rows, one to train on and one to hold out")
    return header[:-1], [(values, classes.index(label)) for values, label in raw], classes


def split(rows, class_count, held_out, rng):
    """Shuffles and holds back the same share of every class."""
    train, test = [], []
    for index in range(class_count):
        members = [row for row in rows if row[1] == index]
        rng.shuffle(members)
        cut = min(len(members) - 1, max(1, round(len(members) * held_out)))
        test += members[:cut]
        train += members[cut:]
    rng.shuffle(train)
    return train, test


def standardisation(rows):
    """Mean and standard deviation of every feature."""
    columns = list(zip(*(values for values, _ in rows)))
    means = [sum(column) / len(column) for column in columns]
    deviations = [
        math.sqrt(sum((value - mean) ** 2 for value in column) / len(column)) or 1.0
        for column, mean in zip(columns, means)
    ]
    return means, deviations


def expand(values, means, deviations):
    """Standardised features, their squares and products, and a constant: what the linear model sees."""
    scaled = [(value - mean) / deviation for value, mean, deviation in zip(values, means, deviations)]
    products = [scaled[i] * scaled[j] for i in range(len(scaled)) for j in range(i, len(scaled))]
    return scaled + products + [1.0]


# --- Model


def softmax(scores):
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def predict(weights, inputs):
    return softmax([sum(w * x for w, x in zip(row, inputs)) for row in weights])


def evaluate(weights, samples):
    """Mean cross-entropy and accuracy."""
    loss = 0.0
    hits = 0
    for inputs, label in samples:
        chances = predict(weights, inputs)
        loss -= math.log(max(chances[label], 1e-12))
        hits += chances.index(max(chances)) == label
    return loss / len(samples), hits / len(samples)


class Trainer:
    """Mini-batch gradient descent with momentum and weight decay (not on the constant)."""

    def __init__(self, class_count, width, rate, batch, decay, rng):
        self.weights = [[rng.gauss(0, 0.01) for _ in range(width)] for _ in range(class_count)]
        self.velocity = [[0.0] * width for _ in range(class_count)]
        self.rate, self.batch, self.decay, self.rng = rate, batch, decay, rng

    def run_pass(self, samples):
        """One pass over all samples in a new order."""
        self.rng.shuffle(samples)
        for start in range(0, len(samples), self.batch):
            self.step(samples[start : start + self.batch])

    def step(self, batch):
        gradient = [[0.0] * len(row) for row in self.weights]
        for inputs, label in batch:
            chances = predict(self.weights, inputs)
            chances[label] -= 1.0
            for row, error in zip(gradient, chances):
                for i, x in enumerate(inputs):
                    row[i] += error * x
        scale = 1.0 / len(batch)
        for weights, velocity, row in zip(self.weights, self.velocity, gradient):
            last = len(row) - 1
            for i, slope in enumerate(row):
                pull = self.decay * weights[i] if i < last else 0.0
                velocity[i] = 0.9 * velocity[i] - self.rate * (slope * scale + pull)
                weights[i] += velocity[i]


def train(trainer, train_samples, test_samples, epochs, passes):
    """Returns one dictionary of figures for each epoch."""
    history = []
    best = math.inf
    settled = 0  # the epoch that last lowered the learning rate
    tell_progress(0, f"epoch 0 of {epochs}")
    for epoch in range(1, epochs + 1):
        began = time.monotonic()
        for _ in range(passes):
            trainer.run_pass(train_samples)
        train_loss, train_accuracy = evaluate(trainer.weights, train_samples)
        test_loss, test_accuracy = evaluate(trainer.weights, test_samples)
        history.append({
            "epoch": epoch, "learning_rate": trainer.rate,
            "train_loss": train_loss, "train_accuracy": train_accuracy,
            "test_loss": test_loss, "test_accuracy": test_accuracy,
        })
        print(
            f"epoch {epoch:2d}/{epochs}  loss {train_loss:.4f}  accuracy {train_accuracy:.3f}  "
            f"held-out loss {test_loss:.4f}  held-out accuracy {test_accuracy:.3f}  "
            f"{time.monotonic() - began:.2f} s", flush=True)
        # 100 is the coordinator's to say, once the results are safe.
        tell_progress(min(99, round(100 * epoch / epochs)), f"epoch {epoch} of {epochs}")
        if train_loss > best * 0.97 and epoch >= settled + 3 and epoch < epochs:
            trainer.rate *= 0.5
            settled = epoch
            note(f"note: epoch {epoch}: the loss fell by less than 3 %; learning rate halved to {trainer.rate:g}")
        best = min(best, train_loss)
    return history


# --- What is left behind


def confusion(weights, samples, class_count):
    """matrix[true class][predicted class]"""
    matrix = [[0] * class_count for _ in range(class_count)]
    for inputs, label in samples:
        chances = predict(weights, inputs)
        matrix[label][chances.index(max(chances))] += 1
    return matrix


def matrix_text(matrix, classes):
    width = max(len(name) for name in classes + ["predicted"]) + 2
    lines = ["true \\ predicted".ljust(width + 8) + "".join(name.rjust(width) for name in classes)]
    for name, row in zip(classes, matrix):
        lines.append(name.ljust(width + 8) + "".join(str(count).rjust(width) for count in row))
    return "\n".join(lines)


def summary(history, matrix, classes, row_counts, source):
    last = history[-1]
    lines = [
        f"Classifier of {len(classes)} classes, trained on {row_counts[0]} rows of {os.path.basename(source)}",
        f"Held-out accuracy: {last['test_accuracy']:.1%} on {row_counts[1]} rows it has never seen",
        f"Loss: {history[0]['train_loss']:.4f} after the first epoch, {last['train_loss']:.4f} after the last",
        "", matrix_text(matrix, classes), "",
    ]
    for index, name in enumerate(classes):
        found = sum(row[index] for row in matrix)
        hits = matrix[index][index]
        precision = hits / found if found else 0.0
        recall = hits / sum(matrix[index]) if sum(matrix[index]) else 0.0
        lines.append(f"{name}: precision {precision:.3f}, recall {recall:.3f}")
    return "\n".join(lines) + "\n"


def learning_curve(history):
    """An SVG with two panels, loss and accuracy, over the epochs."""
    panels = [
        ("loss", "train_loss", "test_loss", 0.0, max(max(h["train_loss"], h["test_loss"]) for h in history) * 1.05),
        ("accuracy", "train_accuracy", "test_accuracy",
         max(0.0, math.floor(min(min(h["train_accuracy"], h["test_accuracy"]) for h in history) * 10) / 10 - 0.1), 1.0),
    ]
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 340" font-family="sans-serif" font-size="12">',
        "<title>Learning curve</title>", '<rect width="860" height="340" fill="#ffffff"/>',
    ]
    for number, (name, train_key, test_key, low, high) in enumerate(panels):
        parts += panel(60 + 430 * number, name, history, [(train_key, "#1f5fbf"), (test_key, "#c2571a")], low, high)
    parts += [
        '<g transform="translate(330 322)"><rect width="14" height="4" y="-5" fill="#1f5fbf"/>'
        '<text x="20" fill="#333">training</text><rect x="95" width="14" height="4" y="-5" fill="#c2571a"/>'
        '<text x="115" fill="#333">held out</text></g>', "</svg>", "",
    ]
    return "\n".join(parts)


def panel(left, name, history, curves, low, high):
    width, height, top = 350, 230, 40
    span = (high - low) or 1.0
    steps = max(1, len(history) - 1)

    def x(index):
        return left + width * index / steps

    def y(value):
        return top + height * (1 - (value - low) / span)

    parts = [f'<text x="{left}" y="{top - 14}" font-size="15" fill="#111">{name}</text>']
    for tick in range(6):
        value = low + span * tick / 5
        line = f"{y(value):.1f}"
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{line}" y2="{line}" stroke="#e2e2e2"/>')
        parts.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#555">{value:.2f}</text>')
    every = max(1, len(history) // 7)
    for index, entry in enumerate(history):
        if index % every == 0:
            place = f'x="{x(index):.1f}" y="{top + height + 18}"'
            parts.append(f'<text {place} text-anchor="middle" fill="#555">{entry["epoch"]}</text>')
    parts.append(f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#333"/>')
    parts.append(f'<text x="{left + width}" y="{top + height + 34}" text-anchor="end" fill="#555">epoch</text>')
    for key, colour in curves:
        points = " ".join(f"{x(i):.1f},{y(entry[key]):.1f}" for i, entry in enumerate(history))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(i):.1f}" cy="{y(entry[key]):.1f}" r="2.5" fill="{colour}"/>'
            for i, entry in enumerate(history)
        ]
    return parts


def write(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="utf-8", newline="") as file:
        file.write(text)


def matrix_csv(matrix, classes):
    rows = [",".join(["true/predicted"] + classes)]
    rows += [",".join([name] + [str(count) for count in row]) for name, row in zip(classes, matrix)]
    return "\n".join(rows) + "\n"


# --- The command


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def share(text):
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return value


def arguments(argv):
    parser = argparse.ArgumentParser(description="Trains a small classifier on a CSV.")
    parser.add_argument("table", nargs="?", default="measurements.csv",
                        help="CSV, class in the last column (%(default)s)")
    parser.add_argument("--output-dir", default=os.environ.get("AITBC_OUTPUT_DIR") or "out",
                        help="where results go ($AITBC_OUTPUT_DIR, else out)")
    parser.add_argument("--epochs", type=positive, default=14, help="(%(default)s)")
    parser.add_argument("--passes", type=positive, default=90, help="passes over the data in an epoch (%(default)s)")
    parser.add_argument("--batch", type=positive, default=16, help="rows in a mini-batch (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.0002, help="first learning rate (%(default)s)")
    parser.add_argument("--decay", type=float, default=0.001, help="weight decay (%(default)s)")
    parser.add_argument("--held-out", type=share, default=0.25, help="share of rows held out (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="(%(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    try:
        features, rows, classes = read_table(options.table)
        os.makedirs(options.output_dir, exist_ok=True)
    except (OSError, ValueError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    rng = random.Random(options.seed)
    train_rows, test_rows = split(rows, len(classes), options.held_out, rng)
    counts = {name: sum(label == index for _, label in test_rows) for index, name in enumerate(classes)}
    print(f"{len(rows)} rows, {len(features)} features ({', '.join(features)}), {len(classes)} classes", flush=True)
    if max(counts.values()) > 1.2 * min(counts.values()):
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        note(f"warning: the held-out classes are not balanced ({told}); look at the confusion matrix too")

    means, deviations = standardisation(train_rows)
    train_samples = [(expand(values, means, deviations), label) for values, label in train_rows]
    test_samples = [(expand(values, means, deviations), label) for values, label in test_rows]
    trainer = Trainer(len(classes), len(train_samples[0][0]), options.rate, options.batch, options.decay, rng)
    history = train(trainer, train_samples, test_samples, options.epochs, options.passes)

    matrix = confusion(trainer.weights, test_samples, len(classes))
    text = summary(history, matrix, classes, (len(train_rows), len(test_rows)), options.table)
    model = {
        "kind": "multinomial logistic regression, quadratic features", "features": features, "classes": classes,
        "mean": means, "deviation": deviations, "weights": trainer.weights, "seed": options.seed, "history": history,
    }
    write(options.output_dir, "model.json", json.dumps(model, indent=1) + "\n")
    write(options.output_dir, "learning_curve.svg", learning_curve(history))
    write(options.output_dir, "confusion_matrix.csv", matrix_csv(matrix, classes))
    write(options.output_dir, "result.txt", text)
    print(f"held-out accuracy {history[-1]['test_accuracy']:.3f}", flush=True)
    print("written: model.json, learning_curve.svg, confusion_matrix.csv, result.txt", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
