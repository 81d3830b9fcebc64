"""Which folders are parts of the data (train, val, test), by their names and their neighbours'.

Does not know: photos, or what is in a folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

PART_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_WORDS = PART_NAMES | {
    "training": "train",
    "trn": "train",
    "treino": "train",
    "treinamento": "train",
    "validating": "val",
    "validacao": "val",
    "validação": "val",
    "dev": "val",
    "devel": "val",
    "development": "val",
    "testing": "test",
    "tst": "test",
    "teste": "test",
}
_FILLERS = frozenset(
    {"set", "data", "dataset", "split", "folder", "dir", "image", "images", "img", "imgs"}
    | {"photo", "photos", "picture", "pictures", "pics", "jpg", "jpeg", "jpegs", "png"}
    | {"conjunto", "dados", "imagens", "fotos", "de"}
)
_JOINED = re.compile(
    rf"({'|'.join(sorted(_WORDS, key=len, reverse=True))})(?:set|data|images|imgs)?\d*"
)
# Of these a class is hardly ever called; a train is a vehicle, and valid the opposite of invalid.
_NEVER_CLASSES = frozenset(
    {"val", "validation", "validating", "test", "testing", "tst", "teste", "validação", "validacao"}
)


def part_of(name: str) -> str:
    """The part that a folder's name means by itself, "" where it means none.

    Case makes no difference, nor do words such as set, data and images beside the part's own, nor a
    number behind it: Training, train_set, Train_data, test-images, testset, test1, val2017.
    """
    part, others = _split(name)
    return part if part and not others else ""


def find_parts(names: Sequence[str]) -> list[tuple[str, str]]:
    """(part, folder) of each folder of parts: by its name, or as one of several with one word beside
    that of the part (seg_train, seg_test).
    """
    split = {name: _split(name) for name in names}
    beside: dict[tuple[str, ...], set[str]] = {}
    for part, others in split.values():
        if part:
            beside.setdefault(others, set()).add(part)
    return [
        (part, name)
        for name, (part, others) in split.items()
        if part and (not others or len(beside[others]) > 1)
    ]


def is_plain(name: str) -> bool:
    """Whether a part's folder is called as the documentation says, so that nobody need be told."""
    return name.lower() in PART_NAMES


def is_never_class(name: str) -> bool:
    """Whether a folder is named as a part that no class is called like."""
    return bool(part_of(name)) and bool(_NEVER_CLASSES.intersection(map(_word_of, _tokens(name))))


def is_filler(name: str) -> bool:
    """Whether a folder's name says no more than that photos are in it."""
    tokens = _tokens(name)
    return bool(tokens) and all(token in _FILLERS for token in tokens)


def _tokens(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [token for token in re.split(r"[\W_]+", parted.lower()) if token]


def _word_of(token: str) -> str:
    """The word of a part that a token is, joined or not with another and a number; "" else."""
    match = _JOINED.fullmatch(token)
    return match[1] if match else ""


def _split(name: str) -> tuple[str, tuple[str, ...]]:
    """The part that one word of a name means, and the other words that mean something."""
    tokens = _tokens(name)
    words = [_word_of(token) for token in tokens]
    parts = [_WORDS[word] for word in words if word]
    others = tuple(
        token
        for token, word in zip(tokens, words, strict=True)
        if not word and token not in _FILLERS and not token.isdigit()
    )
    return (parts[0], others) if len(parts) == 1 else ("", others)
