"""Messages that name the cause: certificates, clocks, encodings."""

from __future__ import annotations

import codecs
import ssl
from pathlib import Path

import pytest

from conftest import olhar
from olhar.datasets.fetch import _download_error
from olhar.errors import ConfigError, ModelError
from olhar.files import decode_text
from olhar.i18n import _
from olhar.run import RunFolder
from olhar.stores.trouble import explain_connection, is_clock, wrong_clock
from olhar.training.recipe import load_recipe_file


@pytest.mark.parametrize(
    "content",
    [
        "epochs = 3\r\n# não".encode("utf-8-sig"),
        codecs.BOM_UTF16_LE + "epochs = 3\r\n# não".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "epochs = 3\r\n# não".encode("utf-16-be"),
        "epochs = 3\n# não".encode(),
    ],
)
def test_recipes_as_notepad_writes_them(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    assert load_recipe_file(path) == {"epochs": 3}
    assert "não" in decode_text(content)


def test_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes("epochs = 3 # não".encode("cp1252"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load_recipe_file(path)


def test_an_empty_config_is_damaged_and_not_newer(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    with pytest.raises(ModelError, match="damaged") as caught:
        RunFolder(tmp_path).read_config()
    assert "update olhar" not in str(caught.value)


def test_a_certificate_that_is_not_trusted() -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")
    assert "SSL_CERT_FILE=FILE" in str(_download_error("https://h/x", Path("x.part"), error))
    said = str(explain_connection("h:1", error, _("see the docs")))
    assert "AWS_CA_BUNDLE" in said
    assert "tlsCAFile" in said


def test_a_clock_that_is_wrong() -> None:
    assert is_clock("RequestTimeTooSkewed")
    assert is_clock("InvalidSignatureException Signature expired: 2026")
    assert not is_clock("SignatureDoesNotMatch")
    assert "the clock of this computer is wrong" in str(wrong_clock("S3"))


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"\xff\xfe.png"])
def test_a_path_that_is_no_utf8_is_readable(name: bytes, digits_run: Path, tmp_path: Path) -> None:
    path = bytes(tmp_path) + b"/" + name
    try:
        Path(str(path, "utf-8", "surrogateescape")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has no such names")
    given = str(path, "utf-8", "surrogateescape")
    for words in (["predict", digits_run, given], ["data", given], ["train", "--data", given]):
        said = olhar(*words)
        assert said.status == 2
        assert "udc" not in said.err + said.out, said.err
        assert r"\x" in said.err
