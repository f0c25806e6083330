"""Least squares by the normal equations, for a few columns: sums that can be added and subtracted by group."""

from __future__ import annotations

from collections.abc import Sequence

Matrix = list[list[float]]

SINGULAR = 1e-10
"""A pivot below this share of its column's maximum means that the columns are linearly dependent."""


class Singular(ValueError):
    """The rows do not determine the coefficients."""


class Sums:
    """The sums of a group of weighted rows: ``X'X``, ``X'y`` and the weights."""

    __slots__ = ("moments", "products", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.moments: Matrix = [[0.0] * size for _ in range(size)]
        self.products = [0.0] * size

    def add(self, row: Sequence[float], value: float, weight: float = 1.0) -> None:
        for i in range(self.size):
            scaled = weight * row[i]
            self.products[i] += scaled * value
            moments = self.moments[i]
            for j in range(self.size):
                moments[j] += scaled * row[j]

    def plus(self, other: Sums, sign: float = 1.0) -> Sums:
        """The sums of both; with ``sign`` -1 those without the other group."""
        found = Sums(self.size)
        found.products = [a + sign * b for a, b in zip(self.products, other.products, strict=True)]
        found.moments = [
            [a + sign * b for a, b in zip(mine, theirs, strict=True)]
            for mine, theirs in zip(self.moments, other.moments, strict=True)
        ]
        return found

    def solve(self) -> tuple[list[float], Matrix]:
        """The coefficients and the inverse of ``X'X``. Raises Singular."""
        inverse = inverted(self.moments)
        return [dot(row, self.products) for row in inverse], inverse


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def quadratic(row: Sequence[float], matrix: Sequence[Sequence[float]]) -> float:
    """``row' matrix row``."""
    return sum(value * dot(line, row) for value, line in zip(row, matrix, strict=True))


def inverted(matrix: Sequence[Sequence[float]]) -> Matrix:
    """The inverse of a symmetric matrix, scaled to a diagonal of 1 first (Gauss-Jordan). Raises Singular."""
    size = len(matrix)
    if any(matrix[at][at] <= 0.0 for at in range(size)):
        raise Singular("a column is 0")
    scales = [matrix[at][at] ** -0.5 for at in range(size)]
    work = [
        [matrix[i][j] * scales[i] * scales[j] for j in range(size)] + [float(i == j) for j in range(size)]
        for i in range(size)
    ]
    for column in range(size):
        pivot = max(range(column, size), key=lambda at: abs(work[at][column]))
        if abs(work[pivot][column]) < SINGULAR:
            raise Singular("the columns are linearly dependent")
        work[column], work[pivot] = work[pivot], work[column]
        head = [value / work[column][column] for value in work[column]]
        for at in range(size):
            factor = work[at][column]
            work[at] = head if at == column else [a - factor * b for a, b in zip(work[at], head, strict=True)]
    return [[work[i][size + j] * scales[i] * scales[j] for j in range(size)] for i in range(size)]
