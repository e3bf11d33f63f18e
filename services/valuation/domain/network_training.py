"""Training of a small neural network: Adam (Kingma and Ba, 2015) on a pseudo-Huber loss, the rate along a cosine.

Training is in single precision; the trained network is in double, so that a row is told the same alone and among
many. The same rows and seed give the same network.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.valuation.domain.properties import FloatArray, IntArray

WIDTHS = (64, 32)
PASSES, MOST_SEEN = 30, 600_000  # over the rows, and rows seen in all: the more rows, the fewer passes are needed
STEPS_A_PASS, FEWEST, MOST = 8, 32, 256  # at least, as long as that leaves enough rows a step
RATE = 0.0015
WARMING = 0.1  # of the steps, while the rate rises
FADING, SQUARE_FADING = 0.1, 0.01  # of what is remembered of slopes and of their squares, each step
BEND = 0.5  # an error beyond it counts by its size, not by its square

Layer = tuple[FloatArray, FloatArray]  # weights (inputs by outputs) and constants
Single = NDArray[np.float32]


def forward(layers: tuple[Layer, ...], values: FloatArray) -> FloatArray:
    """What a network says of each row; between layers x / (1 + exp(-x))."""
    for weights, constants in layers[:-1]:
        sums = values @ weights + constants
        values = sums / (1.0 + np.exp(-sums))
    weights, constants = layers[-1]
    return np.asarray((values @ weights + constants)[:, 0])


def trained(inputs: Single, goal: Single, seed: int) -> tuple[Layer, ...]:
    """A network of the goal by inputs, both about 0 and of about unit spread."""
    draw = np.random.default_rng(seed)
    parts = _start(draw, inputs.shape[1])
    slopes, squares = ([np.zeros_like(part) for part in parts] for _ in range(2))
    passes = int(np.clip(MOST_SEEN // len(goal), 1, PASSES))
    groups = [rows for _ in range(passes) for rows in _groups(draw, len(goal))]
    for step, rows in enumerate(groups, start=1):
        rate = RATE * min(1.0, step / (WARMING * len(groups))) * (1 + np.cos(np.pi * step / len(groups))) / 2
        rate /= 1 - (1 - FADING) ** step
        known = np.float32(1 - (1 - SQUARE_FADING) ** step)
        for at, slope in enumerate(_slopes(parts, inputs[rows], goal[rows])):
            slopes[at] += np.float32(FADING) * (slope - slopes[at])
            squares[at] += np.float32(SQUARE_FADING) * (slope * slope - squares[at])
            parts[at] -= np.float32(rate) * slopes[at] / (np.sqrt(squares[at] / known) + np.float32(1e-8))
    exact = [part.astype(float) for part in parts]
    return tuple(zip(exact[::2], exact[1::2], strict=True))


def _start(draw: np.random.Generator, inputs: int) -> list[Single]:
    """Weights and constants in turn, layer by layer; the last layer's are small."""
    parts: list[Single] = []
    for incoming, outgoing in pairwise([inputs, *WIDTHS, 1]):
        height = np.sqrt(2 / incoming) * (0.1 if outgoing == 1 else 1.0)
        weights = draw.standard_normal((incoming, outgoing)) * height
        parts += [weights.astype(np.float32), np.zeros(outgoing, dtype=np.float32)]
    return parts


def _groups(draw: np.random.Generator, count: int) -> list[IntArray]:
    """The rows of each step of a pass, in a new order; what does not fill a step is left out of this pass."""
    order = draw.permutation(count)
    size = min(int(np.clip(count // STEPS_A_PASS, FEWEST, MOST)), count)
    return [order[start : start + size] for start in range(0, count - size + 1, size)]


def _slopes(parts: list[Single], inputs: Single, goal: Single) -> list[Single]:
    """The slope of the loss by every weight and constant."""
    one = np.float32(1)
    values, rises = [inputs], []
    for at in range(0, len(parts) - 2, 2):
        sums = values[-1] @ parts[at] + parts[at + 1]
        gate = one / (one + np.exp(-sums))
        values.append(sums * gate)
        rises.append(gate * (one + sums * (one - gate)))
    error = (values[-1] @ parts[-2] + parts[-1])[:, 0] - goal
    pull = (error / np.sqrt(one + (error / np.float32(BEND)) ** 2) / np.float32(len(goal)))[:, None]
    slopes: list[Single] = []
    for at in range(len(parts) - 2, -1, -2):
        slopes += [pull.sum(axis=0), values[at // 2].T @ pull]
        if at:
            pull = (pull @ parts[at].T) * rises[at // 2 - 1]
    return slopes[::-1]
