"""Exact tree SHAP of boosted trees by tables: what each feature adds to the trees' sum, row by row.

The values are those of Lundberg's path-dependent tree SHAP, which XGBoost gives as `pred_contribs`, summed by
named groups of features. A leaf's part depends only on which way the row would go at the splits of the leaf's
path: for each part of a tree with at most `MOST_SPLITS` such splits a table holds the sums for every pattern of
them, so that a row costs a look-up for each part (FastTreeSHAP, Yang 2022, keeps such a table for each leaf).

A Shapley value of a product game is an integral over p of products of (p s + (1 - p) r): s is 1 where the row
meets a feature's conditions, r the share of cover that does. Gauss-Legendre quadrature is exact for it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xgboost
from numpy.typing import NDArray

from services.valuation.domain.properties import FloatArray, IntArray

SingleArray = NDArray[np.float32]  # as the trees compare and add
MOST_SPLITS = 8
BLOCK = 256


@dataclass(frozen=True)
class _Leaf:
    """Splits on the way to a leaf, with the side taken and the share of cover that takes it."""

    splits: tuple[int, ...]
    lefts: tuple[bool, ...]
    shares: tuple[float, ...]
    value: float


@dataclass(frozen=True)
class _Table:
    """One tree: which of all splits it has, and for each of its parts a table of sums by pattern and group."""

    split: IntArray
    place: SingleArray
    start: IntArray
    sums: SingleArray


@dataclass(frozen=True)
class _Splits:
    """Different splits of all trees: many trees ask the same."""

    feature: IntArray
    threshold: SingleArray
    unknown_left: IntArray

    def lefts(self, features: FloatArray) -> SingleArray:
        """Which rows of the features (columns) go left at which split: 1 or 0."""
        columns = np.ascontiguousarray(features.astype(np.float32).T)
        unknown = np.isnan(columns)
        sides = np.stack(
            [np.where(unknown, np.float32(np.inf), columns), np.where(unknown, -np.float32(np.inf), columns)]
        )
        return (sides[self.unknown_left, self.feature] < self.threshold[:, None]).astype(np.float32)


@dataclass(frozen=True)
class TreeShap:
    """Tables of all trees; `expected` is their mean sum over the sales, to which the groups add."""

    groups: tuple[str, ...]
    expected: float
    splits: _Splits
    tables: tuple[_Table, ...]

    def explain(self, features: FloatArray) -> FloatArray:
        """One row per row of features, one column per group: with `expected` they add up to the trees' sum."""
        blocks = [self._block(features[start : start + BLOCK]) for start in range(0, len(features), BLOCK)]
        return np.concatenate([np.zeros((0, len(self.groups))), *blocks])

    def _block(self, features: FloatArray) -> FloatArray:
        lefts = self.splits.lefts(features)
        told = np.zeros((features.shape[0], len(self.groups)))
        found = np.empty((self._most_parts, *told.shape), dtype=np.float32)  # one for all: fresh memory is dear
        for table in self.tables:
            row = (table.place @ lefts.take(table.split, axis=0)).astype(np.int64) + table.start[:, None]
            told += table.sums.take(row, axis=0, out=found[: len(row)], mode="clip").sum(axis=0)
        return told

    @cached_property
    def _most_parts(self) -> int:
        return max((len(table.start) for table in self.tables), default=0)


def learn_tree_shap(trees: xgboost.Booster, groups: Sequence[str]) -> TreeShap:
    """The tables of trees whose features belong to these groups, one name for each feature."""
    names = tuple(dict.fromkeys(groups))
    group = np.array([names.index(name) for name in groups])
    model = json.loads(trees.save_raw("json").decode())["learner"]["gradient_booster"]["model"]["trees"]
    splits, split_of = _different_splits(model)
    tables, expected = [], 0.0
    for tree, split in zip(model, split_of, strict=True):
        leaves = list(_leaves(tree, 0, (), (), ()))
        expected += sum(leaf.value * float(np.prod(leaf.shares)) for leaf in leaves)
        if len(leaves) > 1:
            tables.append(_table(tree, leaves, split, (group, len(names))))
    return TreeShap(names, expected, splits, tuple(tables))


def _different_splits(model: list[dict[str, list[float]]]) -> tuple[_Splits, list[IntArray]]:
    """The splits of all trees, each once, and for each tree which of them its inner nodes have."""
    names = ("split_indices", "split_conditions", "default_left")
    told = [np.column_stack([np.array(tree[name], dtype=float)[_inner(tree)] for name in names]) for tree in model]
    different, which = np.unique(np.concatenate(told), axis=0, return_inverse=True)
    feature, threshold, unknown_left = different.T
    splits = _Splits(feature.astype(np.int64), threshold.astype(np.float32), unknown_left.astype(np.int64))
    return splits, np.split(which.ravel(), np.cumsum([len(nodes) for nodes in told])[:-1])


def _inner(tree: dict[str, list[float]]) -> IntArray:
    """The nodes that split."""
    return np.flatnonzero(np.array(tree["left_children"]) >= 0)


def _leaves(
    tree: dict[str, list[float]],
    node: int,
    splits: tuple[int, ...],
    lefts: tuple[bool, ...],
    shares: tuple[float, ...],
) -> Iterator[_Leaf]:
    ways = ((int(tree["left_children"][node]), True), (int(tree["right_children"][node]), False))
    if ways[0][0] < 0:
        yield _Leaf(splits, lefts, shares, float(tree["split_conditions"][node]))
        return
    cover = tree["sum_hessian"]
    for child, is_left in ways:
        share = float(cover[child]) / float(cover[node])
        yield from _leaves(tree, child, (*splits, node), (*lefts, is_left), (*shares, share))


def _parts(leaves: list[_Leaf], depth: int = 0) -> Iterator[list[_Leaf]]:
    """The largest parts of a tree that hang on few enough splits."""
    if len(leaves) == 1 or len({split for leaf in leaves for split in leaf.splits}) <= MOST_SPLITS:
        yield leaves
        return
    for is_left in (True, False):
        yield from _parts([leaf for leaf in leaves if leaf.lefts[depth] is is_left], depth + 1)


def _table(tree: dict[str, list[float]], leaves: list[_Leaf], split: IntArray, grouped: tuple[IntArray, int]) -> _Table:
    feature = np.array(tree["split_indices"], dtype=np.int64)
    column = {int(node): at for at, node in enumerate(_inner(tree))}
    told = dict(zip(map(id, leaves), _told(leaves, feature), strict=True))
    parts = list(_parts(leaves))
    place = np.zeros((len(parts), len(column)), dtype=np.float32)
    start, sums, rows = [], [], 0
    for at, part in enumerate(parts):
        splits = sorted({split for leaf in part for split in leaf.splits})
        for bit, node in enumerate(splits):
            place[at, column[node]] = 1 << bit
        start.append(rows)
        sums.append(_sums([(leaf, told[id(leaf)]) for leaf in part], splits, feature, *grouped))
        rows += len(sums[-1])
    return _Table(
        split=split,
        place=place,
        start=np.array(start, dtype=np.int64),
        sums=np.concatenate(sums),
    )


def _sums(
    part: list[tuple[_Leaf, SingleArray]], splits: list[int], feature: IntArray, group: IntArray, count: int
) -> SingleArray:
    """What the leaves of a part add by group, for every pattern of its splits."""
    pattern = np.arange(1 << len(splits))
    goes_left = {split: pattern >> bit & 1 for bit, split in enumerate(splits)}
    sums = np.zeros((len(pattern), count), dtype=np.float32)
    for leaf, told in part:
        names = _features(leaf, feature)
        met = np.ones((len(names), len(pattern)), dtype=np.int64)
        for split, is_left in zip(leaf.splits, leaf.lefts, strict=True):
            met[names.index(int(feature[split]))] &= goes_left[split] == is_left
        by_feature = told[(1 << np.arange(len(names))) @ met]
        for at, name in enumerate(names):
            sums[:, group[name]] += by_feature[:, at]
    return sums


def _features(leaf: _Leaf, feature: IntArray) -> list[int]:
    return list(dict.fromkeys(int(feature[split]) for split in leaf.splits))


def _told(leaves: list[_Leaf], feature: IntArray) -> list[SingleArray]:
    """For each leaf, what its features add for every set of them whose conditions are met."""
    shares = []
    for leaf in leaves:
        share = dict.fromkeys(_features(leaf, feature), 1.0)
        for split, of_cover in zip(leaf.splits, leaf.shares, strict=True):
            share[int(feature[split])] *= of_cover
        shares.append(np.array([*share.values()]))
    told = [np.zeros((1, 0), dtype=np.float32)] * len(leaves)
    for size in {len(share) for share in shares}:
        rows = [row for row, share in enumerate(shares) if len(share) == size]
        values = np.array([leaves[row].value for row in rows])
        found = _shapley(np.stack([shares[row] for row in rows])) * values[:, None, None]
        for row, of_leaf in zip(rows, found.astype(np.float32), strict=True):
            told[row] = of_leaf
    return told


def _shapley(share: FloatArray) -> FloatArray:
    """Shapley values of product games (games, sets of features, features), by the features' shares."""
    size = share.shape[1]
    met = (np.arange(1 << size)[:, None] >> np.arange(size) & 1).astype(float)
    point, weight = np.polynomial.legendre.leggauss(size // 2 + 1)
    total = np.zeros((len(share), 1 << size, size))
    for at, by in zip((point + 1) / 2, weight / 2, strict=True):
        factor = at * met + (1 - at) * share[:, None, :]
        total += by * factor.prod(axis=2, keepdims=True) / factor
    return np.asarray(total * (met - share[:, None, :]), dtype=float)
