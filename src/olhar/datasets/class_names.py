"""When two class names mean the same: case, separators, and a table of synonyms.

Does not know: files or labels. The table holds true synonyms only (boat is not ship, rã is not
sapo), for two names that mean the same cannot be two classes of one data set.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

# Each line is one class, in English and Portuguese: those of the named sets, and of the photos that
# courses use. Written without separators; words with accents are found without them too.
_SYNONYMS = (
    # CIFAR-10
    "airplane airplanes plane planes aeroplane aeroplanes avião aviões",
    "automobile automobiles car cars automóvel automóveis carro carros",
    "bird birds pássaro pássaros ave aves",
    "cat cats gato gatos",
    "deer cervo cervos veado veados",
    "dog dogs cachorro cachorros cão cães",
    "frog frogs sapo sapos",
    "horse horses cavalo cavalos",
    "ship ships navio navios",
    "truck trucks lorry lorries caminhão caminhões camião camiões",
    # MNIST
    "0 zero",
    "1 one um",
    "2 two dois",
    "3 three três",
    "4 four quatro",
    "5 five cinco",
    "6 six seis",
    "7 seven sete",
    "8 eight oito",
    "9 nine nove",
    # Fashion-MNIST
    "tshirt/top tshirttop tshirt tshirts camiseta camisetas",
    "trouser trousers calça calças",
    "pullover pullovers pulôver pulôveres",
    "dress dresses vestido vestidos",
    "coat coats casaco casacos",
    "sandal sandals sandália sandálias",
    "shirt shirts camisa camisas",
    "sneaker sneakers tênis ténis",
    "bag bags bolsa bolsas",
    "ankleboot ankleboots botadecanocurto",
    # courses
    "ant ants formiga formigas",
    "bee bees abelha abelhas",
    "cow cows vaca vacas",
    "sheep ovelha ovelhas",
    "butterfly butterflies borboleta borboletas",
    "flower flowers flor flores",
)
_WHOLE = re.compile(r"[0-9]+(\.0*)?")
_SEPARATORS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")  # only between letters and digits


def class_key(name: str) -> str:
    """What is equal for two class names that mean the same, and for no others.

    Case, and which of space, underscore and hyphen stands between words, make no difference; nor
    do the synonyms of the table. Accents do (avô is not avó), save in the words of the table. Whole
    numbers are what they count: 01 and 1.0 are 1.
    """
    folded = unicodedata.normalize("NFKC", name).casefold().strip()
    key = _SEPARATORS.sub(" ", folded) or name
    if _WHOLE.fullmatch(key):
        key = key.partition(".")[0].lstrip("0") or "0"
    joined = key.replace(" ", "")
    return _TABLE.get(joined, _TABLE.get(_without_accents(joined), key))


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _build_table() -> Mapping[str, str]:
    table = {}
    for line in _SYNONYMS:
        words = line.split()
        for word in words:
            table[word] = table[_without_accents(word)] = words[0]
    return table


_TABLE = _build_table()


def match_class_names(
    given: Sequence[str], known: Sequence[str], *, exactly: bool = False
) -> list[int | None]:
    """For each given class name its index among the known ones, None where it is another class.

    The same spelling comes first, then, unless names are to match exactly, the same meaning (see
    `class_key`).
    """
    exact = {name: index for index, name in enumerate(known)}
    if exactly:
        return [exact.get(name) for name in given]
    meant = {class_key(name): index for index, name in reversed(list(enumerate(known)))}
    return [exact.get(name, meant.get(class_key(name))) for name in given]


def same_class(names: Sequence[str]) -> tuple[str, str] | None:
    """The first two of `names` that mean the same, None where there are none."""
    seen: dict[str, str] = {}
    for name in names:
        key = class_key(name)
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None
