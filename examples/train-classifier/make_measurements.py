#!/usr/bin/env python3
"""Writes measurements.csv, the synthetic table of this example. The same seed gives the same bytes.

    python3 make_measurements.py > measurements.csv
"""

import random
import sys

# Per class: rows, then (mean, standard deviation) of every feature. A shared "size" ties the features together,
# as body size does in real animals; two classes overlap, so that there is something to learn and something to miss.
CLASSES = {
    "amber": (260, [(38.9, 2.3), (18.3, 1.1), (190.0, 6.0), (3700.0, 380.0)]),
    "slate": (140, [(48.6, 2.9), (18.5, 1.1), (196.0, 6.5), (3740.0, 370.0)]),
    "tall": (200, [(47.4, 2.8), (15.1, 0.9), (216.0, 6.3), (5050.0, 460.0)]),
}
FEATURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
DIGITS = [1, 1, 0, 0]


def main():
    rng = random.Random(20260213)
    rows = []
    for name, (count, features) in CLASSES.items():
        for _ in range(count):
            size = rng.gauss(0, 1)
            values = [mean + deviation * (0.6 * size + 0.8 * rng.gauss(0, 1)) for mean, deviation in features]
            rows.append([f"{value:.{digits}f}" for value, digits in zip(values, DIGITS)] + [name])
    rng.shuffle(rows)
    for row in rng.sample(rows, 4):
        row[rng.randrange(len(FEATURES))] = ""
    sys.stdout.write(",".join(FEATURES + ["species"]) + "\n")
    for row in rows:
        sys.stdout.write(",".join(row) + "\n")


if __name__ == "__main__":
    main()
