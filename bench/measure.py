"""Taking turns, and the tables of what came out. Used by start.py and images.py."""

import collections
import os
import random
import statistics
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

# What one run took. `cpu` and `mib` are None where they cannot be told apart from the host's.
Took = collections.namedtuple("Took", "seconds cpu mib", defaults=(None, None))


def build_c(name, work):
    """Compiles bench/NAME.c, static, and returns the program's path."""
    program = os.path.join(work, name)
    subprocess.run(["cc", "-O2", "-static", "-o", program, os.path.join(HERE, name + ".c")],
                   check=True)
    return program


class Meter:
    """Runs commands through bench/meter.c, whose own few pages keep the peak honest."""

    def __init__(self, work):
        self.program = build_c("meter", work)

    def __call__(self, *command, cwd=None):
        done = subprocess.run([self.program, *command], cwd=cwd, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        words = done.stdout.split()
        if len(words) != 4 or words[3] != "0":
            raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stderr}{done.stdout}")
        return Took(float(words[0]), float(words[1]), int(words[2]) / 1024)


def turns(rows, rounds, warm_up=1):
    """Runs {name: function -> Took} in turn, in an order that changes each round, so that a busy
    moment or an expensive neighbour hits all alike. Returns {name: [Took]}."""
    order, results = list(rows), {name: [] for name in rows}
    shuffle = random.Random(1)
    for turn in range(-warm_up, rounds):
        for name in order:
            took = rows[name]()
            if turn >= 0:
                results[name].append(took)
        shuffle.shuffle(order)
    return results


def median(results, what="seconds"):
    values = [v for v in (getattr(took, what) for took in results) if v is not None]
    return statistics.median(values) if values else None


def table(title, columns, rows):
    """Prints `title` and lines of cells; the first column to the left, the others to the right."""
    cells = [columns] + [["-" if c is None else str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    print(f"\n{title}")
    for row in cells:
        line = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  " + "  ".join(line).rstrip(), flush=True)
