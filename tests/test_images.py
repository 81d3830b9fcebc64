"""images: every mode, every orientation, every kind of bad file."""

import io
import os
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from olhar.datasets.photo_files import is_photo
from olhar.errors import ConfigError, ImageError, MissingFileError, NoPermissionError
from olhar.images import array_to_image, read_image, to_channels

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


def encode(image: Image.Image, image_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def noise(height=7, width=5, channels=3, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height=60, width=80) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    planes = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1)
    return Image.fromarray(planes.astype(np.uint8))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour_type, raw: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = png_chunk(b"IDAT", zlib.compress(raw))
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + data + png_chunk(b"IEND", b"")
    )


# --- modes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_rgb_is_read_exactly(tmp_path, suffix):
    pixels = noise()
    path = save(Image.fromarray(pixels), tmp_path / f"a{suffix}")
    read = read_image(path)
    assert read.dtype == np.uint8
    assert read.flags.writeable
    np.testing.assert_array_equal(read, pixels)


def test_webp_lossless_and_jpeg_lossy(tmp_path):
    image = smooth()
    np.testing.assert_array_equal(
        read_image(save(image, tmp_path / "a.webp", lossless=True)), np.array(image)
    )
    jpeg = read_image(save(image, tmp_path / "a.jpg", quality=95)).astype(int)
    assert np.abs(jpeg - np.array(image)).mean() < 3


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif(tmp_path):
    read = read_image(save(smooth(), tmp_path / "a.avif", quality=95)).astype(int)
    assert np.abs(read - np.array(smooth())).mean() < 4
    assert is_photo("a.AVIF")


def test_sources_are_equal(tmp_path):
    path = save(smooth(), tmp_path / "é 猫.png")
    expected = read_image(path)
    np.testing.assert_array_equal(read_image(str(path)), expected)
    np.testing.assert_array_equal(read_image(path.read_bytes()), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_image(file), expected)


def test_grey_has_one_channel(tmp_path):
    pixels = noise(channels=1)[..., 0]
    read = read_image(save(Image.fromarray(pixels), tmp_path / "a.png"))
    np.testing.assert_array_equal(read, pixels[..., None])


def test_one_bit(tmp_path):
    bits = np.array([[0, 1, 1], [1, 0, 0]], dtype=bool)
    for suffix in (".png", ".bmp", ".pbm", ".tif"):
        read = read_image(save(Image.fromarray(bits), tmp_path / f"a{suffix}"))
        np.testing.assert_array_equal(read[..., 0], bits * 255)
        assert read.shape == (2, 3, 1)


def test_alpha_is_put_on_white(tmp_path):
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 0, 0, 255), (200, 0, 0, 0), (0, 100, 0, 128)])
    read = read_image(save(image, tmp_path / "a.png"))
    np.testing.assert_array_equal(read, [[[200, 0, 0], [255, 255, 255], [127, 177, 127]]])


def test_grey_alpha_is_put_on_white(tmp_path):
    image = Image.new("LA", (3, 1))
    image.putdata([(200, 255), (200, 0), (0, 128)])
    read = read_image(save(image, tmp_path / "a.png"))
    np.testing.assert_array_equal(read, [[[200], [255], [127]]])


def test_palette_is_rgb_and_its_transparency_white(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    np.testing.assert_array_equal(read_image(save(image, tmp_path / "a.png")), [[RED, GREEN, BLUE]])
    half = bytes([255, 0, 128])
    np.testing.assert_array_equal(
        read_image(save(image, tmp_path / "b.png", transparency=half)),
        [[RED, (255, 255, 255), (127, 127, 255)]],
    )
    np.testing.assert_array_equal(
        read_image(save(image, tmp_path / "a.gif", transparency=1)),
        [[RED, (255, 255, 255), BLUE]],
    )


def test_transparent_colour_key(tmp_path):
    rgb = Image.new("RGB", (2, 1))
    rgb.putdata([RED, (1, 2, 3)])
    np.testing.assert_array_equal(
        read_image(save(rgb, tmp_path / "a.png", transparency=RED)), [[(255,) * 3, (1, 2, 3)]]
    )
    grey = Image.new("L", (2, 1))
    grey.putdata([7, 9])
    np.testing.assert_array_equal(
        read_image(save(grey, tmp_path / "b.png", transparency=7)), [[[255], [9]]]
    )
    wide = struct.pack(">B2H", 0, 0x1234, 0x5678)
    key = png_chunk(b"tRNS", struct.pack(">H", 0x1234))
    np.testing.assert_array_equal(read_image(png(2, 1, 16, 0, wide, key)), [[[255], [0x56]]])


def test_one_bit_transparency(tmp_path):
    bits = Image.fromarray(np.array([[0, 1]], dtype=bool))
    np.testing.assert_array_equal(
        read_image(save(bits, tmp_path / "a.png", transparency=0)), [[[255], [255]]]
    )


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk(tmp_path, suffix):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    read = read_image(save(image, tmp_path / f"a{suffix}"))
    assert read.shape == (16, 16, 3)
    assert np.abs(read.astype(int) - RED).max() <= 4


def test_ycck_jpeg_as_adobe_writes_it():
    content = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    place = content.index(b"Adobe") + 11  # the transform byte: 0 is CMYK, 2 is YCCK
    assert content[place] in {0, 2}
    ycck = content[:place] + b"\x02" + content[place + 1 :]
    assert read_image(ycck).shape == (16, 16, 3)


def test_lab_and_ycbcr(tmp_path):
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.new("RGB", (4, 4), (200, 30, 60)), to_lab)
    read = read_image(save(lab, tmp_path / "lab.tif")).astype(int)
    assert np.abs(read - (200, 30, 60)).max() <= 4
    ycc = Image.new("RGB", (4, 4), (200, 30, 60)).convert("YCbCr")
    read = read_image(save(ycc, tmp_path / "ycc.tif")).astype(int)
    assert np.abs(read - (200, 30, 60)).max() <= 4


def test_sixteen_bit_grey_keeps_the_high_byte(tmp_path):
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    expected = [[[0], [0], [1], [128], [255]]]
    image = Image.fromarray(values)
    assert image.mode == "I;16"
    np.testing.assert_array_equal(read_image(save(image, tmp_path / "a.png")), expected)
    np.testing.assert_array_equal(read_image(save(image, tmp_path / "a.tif")), expected)
    pgm = b"P5 5 1 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(read_image(pgm), expected)
    dark = b"P5 2 1 65535\n" + struct.pack(">2H", 3, 200)  # not 8-bit values in disguise
    np.testing.assert_array_equal(read_image(dark), [[[0], [0]]])


def test_sixteen_bit_grey_big_endian_tiff():
    values = np.array([[0, 256, 65535]], dtype=">u2")
    image = Image.frombytes("I;16B", (3, 1), values.tobytes())
    np.testing.assert_array_equal(read_image(encode(image, "TIFF")), [[[0], [1], [255]]])


def test_thirty_two_bit_grey_tiff(tmp_path):
    for values, expected in (
        ([0, 128, 255], [0, 128, 255]),
        ([0, 32768, 65535], [0, 128, 255]),
        ([-1000, 0, 1000], [0, 128, 255]),
    ):
        image = Image.fromarray(np.array([values], dtype=np.int32))
        np.testing.assert_array_equal(
            read_image(save(image, tmp_path / "a.tif"))[0, :, 0], expected
        )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 32768.0, 65535.0], [0, 128, 255]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),
        ([-5.0, -5.0, -5.0], [0, 0, 0]),
        ([np.nan, 0.5, np.inf], [0, 128, 0]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
    ],
)
def test_float_grey(tmp_path, values, expected):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    np.testing.assert_array_equal(read_image(save(image, tmp_path / "a.tif"))[0, :, 0], expected)


def test_sixteen_bit_rgb_png():
    raw = struct.pack(">B6H", 0, 0, 256, 65535, 32768, 255, 513)
    np.testing.assert_array_equal(read_image(png(2, 1, 16, 2, raw)), [[[0, 1, 255], [128, 0, 2]]])


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if suffix == ".webp" else {}
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(read_image(path), np.full((8, 8, 3), RED))


# --- EXIF --------------------------------------------------------------------------------------

UPRIGHT = np.arange(1, 7, dtype=np.uint8).reshape(2, 3)[..., None].repeat(3, axis=2) * 40
STORED = {  # how a camera held that way stores UPRIGHT (EXIF 2.32, Orientation)
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_orientation(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == ".webp" else {}
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    path = save(stored, tmp_path / f"a{suffix}", exif=exif, **options)
    np.testing.assert_array_equal(read_image(path), UPRIGHT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_jpeg_also_when_shrunk(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    big = np.array(Image.fromarray(UPRIGHT).resize((96, 64), Image.Resampling.NEAREST))
    turned = Image.fromarray(big)
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    if inverse is not None:
        turned = turned.transpose(Image.Transpose(inverse))
    path = save(turned, tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    read = read_image(path)
    assert read.shape == big.shape
    assert np.abs(read.astype(int) - big).mean() < 3
    assert read_image(path, shrink_to=32).shape == (32, 48, 3)


def test_damaged_or_absurd_exif_does_not_cost_the_photo():
    image = smooth()
    plain = read_image(encode(image, "JPEG"))
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        np.testing.assert_array_equal(read_image(encode(image, "JPEG", exif=exif)), plain)
    absurd = Image.Exif()
    absurd[0x0112] = 77
    np.testing.assert_array_equal(read_image(encode(image, "JPEG", exif=absurd)), plain)


# --- size --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shrink_to", [1, 30, 32, 64, 99, 100, 300])
def test_shrink_keeps_the_shortest_side(shrink_to):
    content = encode(smooth(300, 401), "JPEG")
    read = read_image(content, shrink_to=shrink_to)
    assert shrink_to <= min(read.shape[:2]) <= 300
    assert read_image(content, shrink_to=301).shape == (300, 401, 3)
    expected = np.array(smooth(300, 401).resize(read.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(read.astype(int) - expected).mean() < 8


def test_shrink_does_nothing_to_others():
    assert read_image(encode(smooth(), "PNG"), shrink_to=8).shape == (60, 80, 3)


def test_one_pixel():
    assert read_image(encode(Image.new("L", (1, 1), 9), "PNG")).tolist() == [[[9]]]


def test_limit_is_read_from_the_header():
    with pytest.raises(ImageError, match="80 × 60"):
        read_image(encode(smooth(), "PNG"), max_pixels=4799)
    assert read_image(encode(smooth(), "PNG"), max_pixels=4800).shape == (60, 80, 3)
    for side in (10_001, 60_000):
        bomb = png(side, side, 8, 0, b"\0" * 1000)
        started = time.perf_counter()
        with pytest.raises(ImageError, match=r"'bomb\.png' .*pixels"):
            read_image(bomb, name="bomb.png")
        assert time.perf_counter() - started < 1


def test_more_pixels_than_pillow_likes_are_no_warning():
    content = png(9_500, 9_500, 1, 0, b"\0" * (1 + 9_500 // 8 + 1) * 9_500)
    assert read_image(content).shape == (9_500, 9_500, 1)


# --- bad files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"\xef\xbb\xbf\n <HTML lang='pt'>", "HTML"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?><!-- x --><svg/>", "SVG"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04rest", "ZIP"),
        (b'{"error": "rate limit"}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "PostScript"),
        (b"a plain text\n", "text"),
        (b"\x00\x01\x02\x03", "unknown kind"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "damaged|ends too early|PNG"),
    ],
)
def test_bad_content_says_what_it_is(tmp_path, content, words):
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"cat\.jpg.*({words})") as caught:
        read_image(path)
    assert caught.value.exit_status == 2
    assert ";" in str(caught.value)  # what was given; what next


def test_mislabelled_image_is_read(tmp_path):
    path = save(smooth(), tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(path), np.array(smooth()))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF"])
def test_truncated(image_format):
    content = encode(Image.fromarray(noise(60, 80)), image_format)
    with pytest.raises(ImageError, match=r"'x\.bin' "):
        read_image(content[: len(content) // 2], name="x.bin")


def test_truncated_jpeg_says_so():
    with pytest.raises(ImageError, match="ends too early"):
        read_image(encode(smooth(), "JPEG")[:-300])


def test_bytes_without_a_name():
    with pytest.raises(ImageError, match="<bytes>"):
        read_image(b"")


def test_missing_folder_and_null_byte(tmp_path):
    with pytest.raises(MissingFileError, match=r"nao\.jpg"):
        read_image(tmp_path / "nao.jpg")
    with pytest.raises(ImageError, match="folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="null byte"):
        read_image("a\0.jpg")


@pytest.fixture
def closed_photo(tmp_path):
    path = save(smooth(), tmp_path / "a.png")
    path.chmod(0)
    return path


def test_no_permission(closed_photo, unprivileged):
    path = closed_photo
    with pytest.raises(NoPermissionError, match=r"a\.png"):
        read_image(path)


def test_error_crosses_processes():
    import pickle

    with pytest.raises(ImageError) as caught:
        read_image(b"<html>", name="a.jpg")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@cache
def seeds() -> tuple[bytes, ...]:
    image = smooth(24, 32)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "descrição"
    frames = [image.quantize(16), image.rotate(9).quantize(16)]
    return (
        encode(image, "JPEG", exif=exif),
        encode(image, "JPEG", progressive=True),
        encode(image.convert("CMYK"), "JPEG"),
        encode(image, "PNG", exif=exif),
        encode(image.quantize(16), "PNG", transparency=3),
        encode(image, "PNG", save_all=True, append_images=[image.rotate(9)]),
        encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        encode(image, "WEBP", exif=exif),
        encode(image, "TIFF", compression="tiff_lzw"),
        encode(image.convert("I;16"), "TIFF", exif=exif),
        encode(image, "BMP"),
        b"P3 2 1 255\n1 2 3 4 5 6\n",
    )


@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, 11),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    keep=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_hostile_bytes_give_an_array_or_an_image_error(which, changes, keep):
    content = bytearray(seeds()[which])
    for place, value in changes:
        # Squared: most changes fall where the headers are.
        content[int(place * place * (len(content) - 1))] = value
    content = bytes(content[: int(len(content) * keep)])
    try:
        image = read_image(content, max_pixels=1_000_000)
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] in {1, 3}
    assert image.size > 0


def test_threads_leave_the_warning_filters_as_they_were():
    before = list(warnings.filters)
    content = encode(smooth(200, 300), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    results: list[tuple[int, ...]] = []
    threads = [
        threading.Thread(
            target=lambda: results.extend(read_image(content).shape for _ in range(20))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(200, 300, 3)] * 160
    assert list(warnings.filters) == before


# --- names, channels, arrays -------------------------------------------------------------------


def test_image_names():
    for name in ("a.jpg", "A.JPEG", "b.Png", "y.tif", "c.webp", "d.jfif", "e.PGM", "f.jpe"):
        assert is_photo(name)
    for name in ("a.txt", "jpg", "a.jpg.part", "Thumbs.db", "a.svg", ""):
        assert not is_photo(name)


def test_grey_is_that_of_pillow():
    rgb = noise(64, 64)
    expected = np.array(Image.fromarray(rgb).convert("L"))
    np.testing.assert_array_equal(to_channels(rgb, 1)[..., 0], expected)
    np.testing.assert_array_equal(to_channels(rgb[::-1, ::2], 1)[..., 0], expected[::-1, ::2])
    batch = np.stack([rgb, rgb[::-1]])
    np.testing.assert_array_equal(to_channels(batch, 1)[1, ..., 0], expected[::-1])


def test_grey_to_rgb_and_back():
    grey = noise(channels=1)
    rgb = to_channels(grey, 3)
    assert rgb.shape == (7, 5, 3)
    np.testing.assert_array_equal(to_channels(rgb, 1), grey)
    assert to_channels(grey, 1) is grey
    assert to_channels(rgb, 3) is rgb
    with pytest.raises(ConfigError, match="1 or 3"):
        to_channels(grey, 4)


def test_arrays_of_every_allowed_kind():
    rgb = noise()
    np.testing.assert_array_equal(array_to_image(rgb), rgb)
    np.testing.assert_array_equal(array_to_image(rgb[..., 0]), rgb[..., :1])
    np.testing.assert_array_equal(array_to_image(rgb / 255), rgb)
    np.testing.assert_array_equal(array_to_image((rgb / 255).astype(np.float32)), rgb)
    np.testing.assert_array_equal(array_to_image(rgb.astype(np.uint16) << 8), rgb)
    np.testing.assert_array_equal(array_to_image(rgb.astype(">u2") << 8), rgb)
    np.testing.assert_array_equal(array_to_image(rgb > 99), (rgb > 99) * 255)
    rgba = np.concatenate([rgb, np.full((7, 5, 1), 255, np.uint8)], axis=-1)
    np.testing.assert_array_equal(array_to_image(rgba), rgb)
    rgba[..., 3] = 0
    assert (array_to_image(rgba) == 255).all()
    assert array_to_image(np.full((2, 2), 1.00001)).max() == 255


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (noise().astype(np.float32), "divide them by 255"),
        (np.full((4, 4), -0.5), "from -0.5"),
        (np.full((4, 4), np.nan), "nan"),
        (noise().astype(np.int64), "int64.*uint8"),
        (np.zeros((4, 4), complex), "complex"),
        (np.zeros((4, 4), object), "object"),
        (np.zeros((3, 32, 32), np.uint8), "channels"),
        (np.zeros((2, 32, 32, 3), np.uint8), "one by one"),
        (np.zeros(9, np.uint8), r"\(9,\)"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        ([[1, 2]], "list"),
    ],
)
def test_arrays_that_are_refused(value, words):
    with pytest.raises(ImageError, match=words):
        array_to_image(value)


def test_real_photos():
    if "OLHAR_DATA" not in os.environ:
        pytest.skip("OLHAR_DATA is not set")
    folder = Path(os.environ["OLHAR_DATA"]) / "photos"
    if not folder.is_dir():
        pytest.skip("OLHAR_DATA has no photos/")
    paths = sorted(path for path in folder.rglob("*") if is_photo(path.name))
    assert paths
    for path in paths:
        full, small = read_image(path), read_image(path, shrink_to=32)
        assert full.ndim == 3
        assert full.std() > 5
        assert min(small.shape[:2]) >= 32
        assert abs(float(full.mean()) - float(small.mean())) < 3


def test_values_of_0_and_1_alone_are_black_and_white_however_they_come(tmp_path):
    """As fractions, truth values, bytes of a file or of an array, 16 bits, with alpha or without."""
    ones = np.random.default_rng(3).integers(0, 2, (6, 5, 3)).astype(np.uint8)
    for value in (ones, ones[..., :1]):
        expected = value * 255
        kinds = (np.uint8, np.uint16, ">u2", np.float32, np.float64, bool)
        for kind in kinds:
            np.testing.assert_array_equal(array_to_image(value.astype(kind)), expected)
        flat = Image.fromarray(value.squeeze())
        for name in ("a.png", "a.tif", "a.bmp"):
            np.testing.assert_array_equal(read_image(save(flat, tmp_path / name)), expected)
        whole = np.full((6, 5, 1), 255, np.uint8)
        whole[0] = 0
        layered = np.concatenate([np.broadcast_to(value, (6, 5, 3)), whole], axis=-1)
        seen = np.broadcast_to(expected, (6, 5, 3)).copy()
        seen[0] = 255
        np.testing.assert_array_equal(array_to_image(layered), seen)
        np.testing.assert_array_equal(read_image(encode(Image.fromarray(layered), "PNG")), seen)
    grey = ones[..., 0]
    for values in (grey.astype(np.uint16), grey.astype(np.int32), grey.astype(np.float32)):
        read = read_image(save(Image.fromarray(values), tmp_path / "wide.tif"))
        np.testing.assert_array_equal(read[..., 0], grey * 255)
    dark = grey.copy()
    dark[0, 0] = 2
    np.testing.assert_array_equal(array_to_image(dark)[..., 0], dark)
    assert not array_to_image(np.zeros((4, 4), np.uint8)).any()


def test_sixteen_bits_in_memory_are_read_as_those_of_a_file(tmp_path):
    for bits in (8, 10, 12, 14, 16):
        values = np.random.default_rng(bits).integers(0, 1 << bits, (9, 9)).astype(np.uint16)
        values[0, 0] = (1 << bits) - 1
        read = read_image(save(Image.fromarray(values), tmp_path / "wide.png"))
        np.testing.assert_array_equal(array_to_image(values), read)
        assert read.max() == 255


def test_what_pillow_warns_of_reaches_nobody(tmp_path):
    """A photo of more pixels than Pillow likes, looked at in every way, in threads side by side."""
    small = Image.new("L", (8, 8), 9)
    content = bytearray(encode(small, "TIFF"))
    (tmp_path / "a.tif").write_bytes(content)
    head = b"IHDR" + struct.pack(">IIBBBBB", 13_000, 13_000, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + struct.pack(">I", zlib.crc32(head))
    (tmp_path / "big.png").write_bytes(png + b"\0\0\0\0IEND\xaeB`\x82")
    code = """
import sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
warnings.simplefilter("always")
from olhar.datasets.bursts import taken_together
from olhar.datasets.headers import *
from olhar.errors import ImageError
from olhar.images import open_header, read_image
root = Path(sys.argv[1])
def look(_number):
    for name in ("big.png", "a.tif"):
        try:
            read_image(root / name)
            read_image((root / name).read_bytes())
        except ImageError:
            pass
        with open_header(root / name):
            pass
    (root / "big.jpg").write_bytes((root / "big.png").read_bytes())
    taken_together(root, ["big.jpg", "a.tif"])
with ThreadPoolExecutor(4) as pool:
    list(pool.map(look, range(12)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
