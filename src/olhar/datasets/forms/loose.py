"""Files that are no form of data which is read, or not by the folder they lie in: what to do with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from olhar.datasets.forms.archives import is_archive
from olhar.datasets.forms.idx import is_idx
from olhar.datasets.forms.rows import listed
from olhar.datasets.layout import is_hidden, is_photo
from olhar.errors import DataError, explain_os_errors
from olhar.i18n import Text, _

READABLE = ".csv, .tsv, .jsonl, .parquet, .arrow, .npz, .zip, .tar (.gz, .bz2, .xz)"
_FILES = (".csv", ".tsv", ".jsonl", ".arrow", ".npz")
_HDF5 = _(
    "'{path}' is an HDF5 file, which is not read; save its arrays as .npz, in Python: "
    "f = h5py.File('{file}'); print(f.keys()) and numpy.savez('{stem}.npz', images=f['images'][:], "
    "labels=f['labels'][:])"
)
_PICKLE = _(
    "'{path}' is a pickle, which can run programs and is never opened; if you trust who made it, save its "
    "arrays as .npz, in Python: d = pickle.load(open('{file}', 'rb')) and numpy.savez('{stem}.npz', "
    "images=d['images'], labels=d['labels'])"
)
_SHEET = _("'{path}' is a spreadsheet; save it as CSV (in UTF-8), and give that file")
_TORCH = _(
    "'{path}' is made by PyTorch or TensorFlow, and not read; save its images and labels as .npz, in "
    "Python: numpy.savez('{stem}.npz', images=images, labels=labels)"
)
_ADVICE = {
    ".mat": _(
        "'{path}' is a MATLAB file, which is not read; save its arrays as .npz, in Python: "
        "m = scipy.io.loadmat('{file}'); print(m.keys()) and numpy.savez('{stem}.npz', "
        "images=m['images'], labels=m['labels'].ravel()), images in the order (number, height, width, "
        "channels)"
    ),
    **dict.fromkeys((".h5", ".hdf5", ".he5"), _HDF5),
    **dict.fromkeys((".pkl", ".pickle", ".p"), _PICKLE),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), _SHEET),
    **dict.fromkeys((".pt", ".pth", ".tfrecord", ".tfrecords"), _TORCH),
    ".npy": _(
        "'{path}' is one array alone; put images and labels, images.npy and labels.npy, into one folder, "
        "and give the folder"
    ),
    ".json": _(
        "'{path}' is JSON, of which only JSON lines are read (.jsonl, an object a line); or save it as "
        "CSV, in Python: pandas.read_json('{file}').to_csv('{stem}.csv', index=False)"
    ),
}


def refuse_file(name: str, path: Path) -> DataError:
    """The error for a file that is not read as data."""
    known = _ADVICE.get(path.suffix.lower())
    if is_idx(path):
        known = _("'{path}' is one IDX file; give the folder that holds its images and its labels")
    if known is not None:
        return DataError(_filled(known, name))
    return DataError(
        _(
            "'{path}' is a file of a kind that is not read as data; allowed: the folder that holds a "
            "folder of photos for each class, or a file ending in {readable}",
            path=name,
            readable=READABLE,
        )
    )


def _filled(advice: Text, name: str) -> Text:
    return dataclasses.replace(
        advice, values={"path": name, "file": name, "stem": Path(name).with_suffix("").as_posix()}
    )


def refuse_loose(name: str, root: Path) -> None:
    """Refuse a folder without photos and folders, of which nothing else is read.

    Raises:
        DataError: it holds tables, arrays or archives that may be read by their names, or files that are
            known not to be read.
    """
    with explain_os_errors(name):
        there = sorted(path for path in root.iterdir() if not is_hidden(path.name))
    if any(path.is_dir() or is_photo(path.name) for path in there):
        return
    readable = [path for path in there if path.suffix.lower() in _FILES or is_archive(path)]
    if readable:
        raise DataError(
            _(
                "'{path}' has no photos; it holds {files}: give one of them as the data{unpack}",
                path=name,
                files=listed(path.name for path in readable),
                unpack=_(" (unpack it first)") if Path(name).is_file() else "",
            )
        )
    for path in there:
        if path.suffix.lower() in _ADVICE:
            raise refuse_file(f"{name}/{path.name}", path)
