"""Markets whose price path is known, of several shapes: what an index is held against."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MONTHS = 36
FIRST_MONTH = 600  # January 2020
Path = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class SimulatedMarket:
    """Prices, months and controls of sales, and the planted log level of each month."""

    price: np.ndarray
    month: np.ndarray
    controls: np.ndarray
    log_level: np.ndarray

    def planted_index(self, month: int, base_month: int) -> float:
        """The planted index of a month, base month = 100."""
        apart = self.log_level[month - FIRST_MONTH] - self.log_level[base_month - FIRST_MONTH]
        return 100 * float(np.exp(apart))


def _line(generator: np.random.Generator) -> np.ndarray:
    return 0.005 * np.arange(MONTHS)


def _turn(generator: np.random.Generator) -> np.ndarray:
    month, half = np.arange(MONTHS), MONTHS // 2
    return np.where(month < half, 0.01 * month, 0.01 * half - 0.008 * (month - half))


def _season(generator: np.random.Generator) -> np.ndarray:
    month = np.arange(MONTHS)
    return 0.004 * month + 0.03 * np.sin(2 * np.pi * month / 12)


def _walk(generator: np.random.Generator) -> np.ndarray:
    return np.cumsum(generator.normal(0.003, 0.008, MONTHS))


def _break(generator: np.random.Generator) -> np.ndarray:
    month = np.arange(MONTHS)
    return 0.002 * month + 0.08 * (month >= MONTHS // 3)


PATHS: dict[str, Path] = {"line": _line, "turn": _turn, "season": _season, "walk": _walk, "break": _break}


def simulated_market(path: str, *, sales: int, seed: int, noise: float = 0.15) -> SimulatedMarket:
    """Sales at random months of a market that follows the path; later ones are of smaller houses."""
    generator = np.random.default_rng(seed)
    level = PATHS[path](generator)
    month = generator.integers(0, MONTHS, sales)
    log_area = generator.normal(0, 0.4, sales) - 0.3 * month / MONTHS
    price = np.exp(12 + 0.8 * log_area + level[month] + generator.normal(0, noise, sales))
    return SimulatedMarket(price, month + FIRST_MONTH, log_area[:, None], level)
