"""No part of an address that may be a secret is printed, whatever its form, by any command."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from olhar import cli, errors
from olhar.i18n import _
from olhar.shown import hide_secrets, is_hidden, presentable, readable_name
from olhar.stores import parse_store
from olhar.stores.address import parse_address
from olhar.sweep.study import shown_url

# Each part of a password between two such letters is long, so that it is no part of anything else.
_PIECE = "Geheim"
_SECRETS = st.lists(
    st.sampled_from([*"@/:?#%[]&=; ,'\"\\ä$*+", "//", "@@", "%4", "://"]), max_size=6
)
_STORES = (
    "mongodb://u:{}@host/db",
    "mongodb://u:{}@host:27017/db/name@3",
    "mongodb://u:{}@host/db/name@latest",
    "mongodb://u:{}@h1:1,h2:2/db/name?tls=true",
    "mongodb+srv://{}@cluster.example.net/db/name",
    "mongodb://host/db/name@3?tlsCertificateKeyFilePassword={}",
    "mongodb://host/db?authMechanismProperties=AWS_SESSION_TOKEN:{}",
    "mongodb://u:{}@host",
    "s3://AKIA:{}@bucket/prefix/name@1",
    "gs://u:{}@bucket/x",
    "postgresql://u:{}@host/db",
    "https://u:{}@host/cat.jpg",
    "mongodb:/u:{}@host/db",
    "mongodb//u:{}@host/db/name",
    " mongodb://u:{}@host/db",
    "'mongodb://u:{}@host/db'",
    "MongoDB ://u:{}@host/db",
)


def _password(letters: list[str]) -> str:
    """Long pieces with the letters between them."""
    return _PIECE + "".join(f"{letter}{_PIECE}{n}" for n, letter in enumerate(letters))


def _is_told(text: str, secret: str) -> bool:
    """Whether anything of the password stands there."""
    return _PIECE.lower() in text.lower()


@given(_SECRETS, st.sampled_from(_STORES))
@example(["@", "/", "%"], _STORES[0])
@settings(max_examples=600, deadline=None)
def test_no_piece_of_a_password_is_left(letters: list[str], form: str) -> None:
    secret = _password(letters)
    address = form.format(secret)
    if form.endswith("@host") and {"@", "/"} <= set("".join(letters)):
        return  # it cannot be told from the address of a tag, mongodb://u:p@host/db/name@tag
    for shown in (
        hide_secrets(address),
        shown_url(address),
        presentable(f"cannot open {address}") if re.match(r"\w+://\S+$", address) else "",
        str(_("there is no '{path}'", path=address)),
        str(_("there is no '{path}'", path=Path(address))),
    ):
        assert not _is_told(shown, secret), (address, shown)
    for parse in (parse_store, parse_address):
        try:
            found = parse(address)
        except errors.ConfigError as error:
            assert not _is_told(str(error), secret), (address, str(error))
        else:
            assert not _is_told(f"{found!r} {found.shown}", secret), address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb://u:p@ss/w%rd@host/db", "mongodb://***"),
        ("mongodb://u:p%40ss@host/db/name@3?tls=true", "mongodb://host/db/name@3?tls=true"),
        (
            "mongodb://u:p@mongo:27017/db/name@production",
            "mongodb://mongo:27017/db/name@production",
        ),
        ("mongodb://host/db?pwd=x&w=1", "mongodb://host/db?pwd=***&w=1"),
        ("s3://bucket/models/cats@3", "s3://bucket/models/cats@3"),
        ("s3://KEY:12/SECRET@bucket/x", "s3://***"),
        ("mongodb:/u:p@host/db", "mongodb:***"),
        ("u:p@host/db", "***"),
        ("./store/cats@3", "./store/cats@3"),
        ("C:/photos/cats@3", "C:/photos/cats@3"),
        ("file:///srv/a@b/cats@3", "file:///srv/a@b/cats@3"),
        ("https://example.org/photo.jpg?size=3", "https://example.org/photo.jpg?size=3"),
        ("a photo: 12@3", "a photo: 12@3"),
    ],
)
def test_the_rest_is_shown(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown
    assert is_hidden(text) == (shown.endswith("***") and shown != text)


_COMMANDS = (
    *("list {}", "pull {}", "push runs/none {}", "tag {} best", "rm {}", "list {} name"),
    *("predict {} a.png", "predict runs/none {}", "explain {} a.png", "explain runs/none {}"),
    *("evaluate {}", "evaluate runs/none --data {}", "verify {}", "verify runs/none --data {}"),
    *(
        "data {}",
        "data push {} store",
        "data push digits {}",
        "data pull {}",
        "data export {} --out x",
    ),
    *(
        "train --data {} --network lenet5",
        "train --data digits --backbone {}",
        "resume {}",
        "card {}",
    ),
    *(
        "train --data digits --run {} --recipe {}",
        "train {}",
        "{}",
        "--{}",
        "--lang {}",
        "compare {} {}",
    ),
    *("sweep --data {} --network lenet5 --param lr=0.1,0.2", "sweep --data digits --storage {}"),
    *(
        "serve {}",
        "serve name={}",
        "serve {} {}",
        "export {}",
        "board {}",
        "reproduce {}",
        "unpack {}",
    ),
    *("deploy {} --role r --image i", "undeploy {}", "pack --model {} --out x", "train --set {}=1"),
    *(
        "train --data={}",
        "predict runs/none a.png --top {}",
        "data digits --html {}",
        "serve x --port {}",
    ),
)


@pytest.mark.parametrize("command", _COMMANDS)
@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    letters=_SECRETS.filter(lambda letters: {"@", ":"} & set("".join(letters))),
    form=st.sampled_from(_STORES).filter(lambda form: not form.endswith("@host")),
)
def test_no_command_prints_one(
    command: str,
    letters: list[str],
    form: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    address = form.format(_password(letters))
    words = [word.replace("{}", address) for word in command.split()]
    said = io.StringIO()
    silenced = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
    with silenced[0], silenced[1], contextlib.suppress(SystemExit):
        cli.main(words)
    assert not _is_told(said.getvalue(), address), (words, said.getvalue())
    assert not re.fullmatch(r"error: \S*\*\*\*\s*", said.getvalue()), "nothing but a hidden address"


def test_names_that_are_no_utf8_are_readable() -> None:
    assert readable_name("caf\udce9.png") == r"caf\xe9.png"
    assert readable_name("cafe\u0301") == "caf\u00e9"
    assert not re.search("udc", str(_("there is no '{path}'", path="caf\udce9")))
