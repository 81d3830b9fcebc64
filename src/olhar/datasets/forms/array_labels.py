"""Labels as people have them in arrays → class names and indices: numbers, texts, one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.forms.label_texts import unify_numbers
from olhar.errors import DataError
from olhar.i18n import Text, _
from olhar.shown import readable_name

_ALLOWED = _(
    "images and labels, or x_train, y_train, x_test and y_test, as np.savez(FILE, images=…, "
    "labels=…) names them"
)


def wrong(name: str, problem: Text) -> DataError:
    """The error for arrays that do not fit each other."""
    return DataError(
        _(
            "'{path}' cannot be used: {problem}; allowed: {allowed}",
            path=name,
            problem=problem,
            allowed=_ALLOWED,
        )
    )


def texts(array: NDArray[Any] | None) -> tuple[str, ...]:
    """An array of texts as names; () for None."""
    if array is None:
        return ()
    flat = array.reshape(-1)
    return tuple(
        readable_name(t.decode() if isinstance(t, bytes) else str(t)) for t in flat.tolist()
    )


def index_labels(
    name: str, given: Sequence[NDArray[Any]], class_names: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names and (N,) int64 indices; classes are those of the first part."""
    flat = [_flat(name, labels) for labels in given]
    if flat[0].dtype.kind in "US":
        words = [np.array(texts(labels)) for labels in flat]
        if not class_names:
            called = unify_numbers(name, (word for some in words for word in some.tolist()))[0]
            words = [np.array([called[word] for word in some.tolist()]) for some in words]
        names = class_names or tuple(sorted(set(words[0].tolist())))
        flat = [_positions(name, labels, names) for labels in words]
    elif class_names:
        names = class_names
        for labels in flat:
            if labels.min() < 0 or labels.max() >= len(names):
                raise _out_of_range(name, labels, 0, len(names) - 1)
    else:
        known = np.unique(flat[0])
        if known[0] < 0:
            raise _out_of_range(name, flat[0], 0, int(known[-1]))
        names = tuple(map(str, known.tolist()))
        flat = [_positions(name, labels.astype(str), names) for labels in flat]
    if len(set(names)) < len(names):
        raise wrong(name, _("two classes have the same name"))
    return names, np.concatenate(flat).astype(np.int64)


def _positions(name: str, labels: NDArray[Any], names: Sequence[str]) -> NDArray[np.int64]:
    index = {known: position for position, known in enumerate(names)}
    others = sorted(set(labels.tolist()) - set(names))
    if others:
        raise DataError(
            _(
                "'{path}' has labels that are not among its classes: {others}; its classes: {known}",
                path=name,
                others=", ".join(others[:5]),
                known=", ".join(names[:20]) + (", …" if len(names) > 20 else ""),
            )
        )
    return np.array([index[label] for label in labels.tolist()], np.int64)


def _flat(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    """(N,), (N, 1) or one-hot (N, K) → (N,) whole numbers or texts."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "buif" and labels.size:
        rows = np.asarray(labels)
        if np.all((rows == 0) | (rows == 1)) and np.all(rows.sum(axis=1) == 1):
            hot: NDArray[np.int64] = rows.argmax(axis=1)
            return hot
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "buifUS":
        raise DataError(
            _(
                "labels of shape {shape} and type {kind} in '{path}' cannot be used; allowed: one whole "
                "number or text for each image, or one-hot rows",
                shape=labels.shape,
                kind=str(labels.dtype),
                path=name,
            )
        )
    if labels.dtype.kind == "f":
        whole = labels.astype(np.int64) if np.all(np.isfinite(labels)) else None
        if whole is None or np.any(whole != labels):
            raise wrong(name, _("its labels are no whole numbers"))
        return whole
    return labels.astype(np.int64) if labels.dtype.kind in "bui" else labels


def _out_of_range(name: str, labels: NDArray[Any], low: int, high: int) -> DataError:
    return DataError(
        _(
            "labels in '{path}' go from {least} to {most}; allowed: {low} to {high}",
            path=name,
            least=int(labels.min()),
            most=int(labels.max()),
            low=low,
            high=high,
        )
    )
