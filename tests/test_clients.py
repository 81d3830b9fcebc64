"""What clients really send: one photo has one answer in any form, or a refusal that helps."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from olhar import load
from olhar.serving.app import App
from olhar.serving.settings import ServeSettings
from serving_here import application, ask

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def app(digits_run: Path) -> Iterator[App]:
    """The application itself, in this process."""
    with application(digits_run, ServeSettings(max_images=8)) as made:
        yield made


def seven() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A 7 of 8 × 8 pixels."""
    picture = np.zeros((8, 8), bool)
    picture[1, 2:6] = True
    for row in range(2, 7):
        picture[row, 5 - row // 3] = True
    return picture


def encoded(pixels: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def test_pixels_of_0_and_1_are_one_picture_in_every_form(app: App, digits_run: Path) -> None:
    picture = seven()
    classifier = load(digits_run)
    wanted = classifier.predict(picture).to_dict()["top"]
    kinds: list[Any] = [int, float, bool]
    for kind in kinds:
        for key in ("instances", "images"):
            body = json.dumps({key: [picture.astype(kind).tolist()]})
            answer = ask(app, "POST", "/invocations", content=body, headers=JSON)
            assert answer.json()[0]["top"] == wanted, (kind, key)
    for pixels in (picture.astype(np.uint8), picture.astype(np.uint8) * 255, picture):
        raw = ask(app, "POST", "/predict", content=encoded(pixels))
        assert raw.json()[0]["top"] == wanted
        assert classifier.predict(pixels).to_dict()["top"] == wanted
    side = classifier.preprocess.size
    rows = np.arange(side) * 8 // side
    picture = picture[rows][:, rows]
    wanted = classifier.predict(picture).to_dict()["top"]
    tensor = {"name": "images", "datatype": "UINT8", "shape": [2, 1, side, side]}
    flat = [*picture.astype(int).ravel().tolist(), *(picture.astype(int) * 255).ravel().tolist()]
    body = json.dumps({"inputs": [{**tensor, "data": flat}]})
    answer = ask(app, "POST", "/v2/models/digits/infer", content=body, headers=JSON).json()
    first, second = np.reshape(answer["outputs"][0]["data"], (2, -1)).tolist()
    assert first == second
    assert max(first) == wanted[0]["probability"]


def test_base64_with_blanks_is_refused_in_every_protocol(app: App) -> None:
    text = base64.b64encode(encoded(np.arange(64, dtype=np.uint8).reshape(8, 8))).decode()
    text = text[:40] + " " + text[41:]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}
    for path, body in (
        ("/predict", {"image": text}),
        ("/invocations", {"instances": [{"b64": text}]}),
        ("/v2/models/digits/infer", {"inputs": [tensor]}),
    ):
        answer = ask(app, "POST", path, content=json.dumps(body), headers=JSON)
        assert answer.status_code == 422
        assert "%2B" in answer.json()["error"]["message"]


def form(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """multipart/form-data of parts (their headers, content), written as they are."""
    body = b"".join(b"--x\r\n%s\r\n\r\n%s\r\n" % (head.encode(), data) for head, data in parts)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return {"content": body + b"--x--\r\n", "headers": headers}


def test_a_photo_in_any_form_is_a_photo(app: App) -> None:
    photo = encoded(np.arange(64, dtype=np.uint8).reshape(8, 8) * 3)
    text = base64.b64encode(photo)
    wanted = ask(app, "POST", "/predict", content=photo).json()[0]["top"]
    named = 'Content-Disposition: form-data; name="%s"'
    file = named % "photo" + '; filename="a.png"'
    for parts, name in (
        ([(named % "photo" + "; filename*=UTF-8''na%C3%AFve%20cat.png", photo)], "naïve cat.png"),
        ([(file + "; filename*=utf-8'en'na%C3%AFve.png", photo)], "naïve.png"),
        ([(named % "photo", photo)], "0"),
        ([(named % "photo" + "\r\nContent-Type: application/octet-stream", photo)], "0"),
        ([(named % "anything", b"data:image/png;base64," + text)], "0"),
        ([(named % "image", text)], "0"),
        ([(named % "images[]", text)], "0"),
        ([(named % "x", text)], "0"),
        ([(file, photo), (named % "submit", b"Send")], "a.png"),
        ([(named % "token", b"f00"), (named % "_method", b"put"), (file, photo)], "a.png"),
        ([(file, photo), (named % "model", b"")], "a.png"),
        ([(file, photo), (named % "more" + '; filename=""', b"")], "a.png"),
    ):  # fmt: skip
        answer = ask(app, "POST", "/predict", **form(*parts))
        assert answer.status_code == 200, (parts, answer.text)
        assert (answer.json()[0]["file"], answer.json()[0]["top"]) == (name, wanted), parts
        assert len(answer.json()) == 1


def test_a_form_without_files_may_hold_a_photo_as_text(app: App) -> None:
    photo = encoded(np.random.default_rng(2).integers(0, 255, (20, 20), np.uint8))
    wanted = ask(app, "POST", "/predict", content=photo).json()
    text = base64.b64encode(photo).decode()
    for fields in ({"image": f"data:image/png;base64,{text}", "go": "Send"}, {"x": text}):
        answer = ask(app, "POST", "/predict", data=fields | {"top_k": "2"}).json()
        assert answer[0]["top"] == wanted[0]["top"][:2]
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    assert "+" in text
    damaged = ask(
        app, "POST", "/predict", content=f"image={text}", headers=form_type
    )  # + unescaped
    assert (damaged.status_code, "%2B" in damaged.text) == (422, True)
    for body in (photo, b"a=b", b"", json.dumps({"image": text}).encode(), b"=" * 9999):
        answer = ask(app, "POST", "/predict", content=body, headers=form_type)
        assert (answer.status_code, "curl" in answer.text) == (415, True)


def test_a_form_without_a_photo_or_with_a_misspelt_option_is_refused(app: App) -> None:
    photo = encoded(np.zeros((8, 8), np.uint8))
    named = 'Content-Disposition: form-data; name="%s"'
    file = named % "photo" + '; filename="a.png"'
    for parts, words in (
        ([(named % "submit", b"Send")], "no photo"),
        ([(named % "photo" + '; filename=""', b"")], "no photo"),
        ([(file, photo), (named % "topk", b"2")], "top_k"),
        ([(file, photo), (named % "treshold", b"0.5")], "threshold"),
        ([(named % "image", b"cat.jpg")], "not base64"),
        ([(named % "image", b"data:image/png,abc")], "not of base64"),
        ([(file, b"")], "empty"),
        ([(named % f"photo{i}", base64.b64encode(photo)) for i in range(9)], "9 photos"),
    ):
        answer = ask(app, "POST", "/predict", **form(*parts))
        assert answer.status_code in {413, 422}, (parts, answer.text)
        assert words in answer.json()["error"]["message"]


def three(classifier: Any) -> tuple[list[bytes], Any]:
    """Three photos of several sizes, and what the model says of them."""
    rng = np.random.default_rng(1)
    photos = [encoded(rng.integers(0, 255, (side, 8), np.uint8)) for side in (8, 12, 30)]
    inputs = np.stack([classifier.preprocess.read(photo) for photo in photos])
    return photos, classifier.predict_probs(inputs)


def test_tensorflow_serving_and_vertex_get_the_same_answers(app: App, digits_run: Path) -> None:
    classifier = load(digits_run)
    photos, wanted = three(classifier)
    texts = [base64.b64encode(photo).decode() for photo in photos]
    forms: list[Any] = [
        [{"b64": text} for text in texts],
        [{"image_bytes": {"b64": text}} for text in texts],
        [{"content": text, "mimeType": "image/png"} for text in texts],
        [{"key": str(i), "image": {"b64": text}} for i, text in enumerate(texts)],
        texts,
        [np.asarray(Image.open(io.BytesIO(photo))).tolist() for photo in photos],
    ]
    path = "/v1/models/digits"
    for form_ in forms:
        for body, key in (
            ({"signature_name": "serving_default", "instances": form_}, "predictions"),
            ({"instances": form_, "parameters": {"top_k": 2}}, "predictions"),
            ({"inputs": form_}, "outputs"),
            ({"inputs": {"image_bytes": form_}}, "outputs"),
        ):
            # As curl -d sends it: no Content-Type that says JSON.
            found = ask(app, "POST", f"{path}:predict", content=json.dumps(body)).json()
            np.testing.assert_array_equal(np.float32(found[key]), wanted)
        body = {"instances": form_, "signature_name": "serving_default"}
        answers = ask(app, "POST", "/invocations", content=json.dumps(body), headers=JSON).json()
        assert [one["probability"] for one in answers] == wanted.max(axis=1).tolist()
    examples = {"examples": [{"image": {"b64": text}} for text in texts]}
    results = ask(app, "POST", f"{path}:classify", content=json.dumps(examples)).json()["results"]
    assert [dict(one) for one in results] == [
        dict(zip(classifier.class_names, row, strict=True)) for row in wanted.tolist()
    ]
    version = app.state.models["digits"].version
    for place in (path, f"{path}/versions/{version}"):
        state = ask(app, "GET", place).json()["model_version_status"][0]
        assert (state["version"], state["state"]) == (version, "AVAILABLE")
        assert ask(app, "GET", f"{place}/metadata").json()["class_names"][3] == "3"
    for place, body, status in (
        (f"{path}:predict", {"instances": [{"b64": "AAAA"}]}, 422),
        (f"{path}:predict", {"examples": []}, 422),
        (f"{path}:predict", {"instances": [], "signature_name": "x"}, 422),
        (f"{path}:predict", {"instances": [{"a": 1, "b": 2}]}, 422),
        ("/v1/models/cats:predict", {}, 404),
        (f"{path}/versions/1:predict", {}, 404),
        (f"{path}:regress", {}, 404),
    ):
        answer = ask(app, "POST", place, content=json.dumps(body))
        assert answer.status_code == status, (place, body, answer.text)
        assert answer.json()["error"]["message"]
    assert ask(app, "GET", f"{path}:predict").status_code == 405


def test_mlflow_and_sagemaker_arrays_get_the_same_answers(app: App, digits_run: Path) -> None:
    photos, wanted = three(load(digits_run))
    texts = [base64.b64encode(photo).decode() for photo in photos]
    for body in (
        {
            "dataframe_split": {
                "columns": ["image"],
                "index": [0, 1, 2],
                "data": [[t] for t in texts],
            }
        },
        {"dataframe_records": [{"image": text} for text in texts]},
    ):
        found = ask(app, "POST", "/invocations", content=json.dumps(body), headers=JSON).json()
        assert [one["probability"] for one in found] == wanted.max(axis=1).tolist()
    wide = {"dataframe_split": {"columns": ["a", "b"], "data": [[0, 1]]}}
    refused = ask(app, "POST", "/invocations", content=json.dumps(wide), headers=JSON)
    assert (refused.status_code, "MLflow" in refused.text) == (422, True)

    npy = {"Content-Type": "application/x-npy"}
    pixels = [np.asarray(Image.open(io.BytesIO(photo))) for photo in photos]
    same = np.stack([pixels[0], pixels[0] // 2])[..., None]
    for array, count in (
        (pixels[1], 1),
        (pixels[1] / 255, 1),
        (same, 2),
        (np.asfortranarray(same), 2),
    ):
        content = io.BytesIO()
        np.save(content, array)
        sent = content.getvalue()
        found = ask(app, "POST", "/invocations", content=sent, headers=npy).json()
        assert len(found) == count
        expected = wanted[1] if count == 1 else wanted[0]
        assert found[0]["probability"] == expected.max()
        for damaged in (sent[:-1], sent + b"x", sent[:20], b"", sent[6:]):
            assert ask(app, "POST", "/invocations", content=damaged, headers=npy).status_code == 422
    content = io.BytesIO()
    np.save(content, np.array([{"a": 1}]), allow_pickle=True)
    refused = ask(app, "POST", "/invocations", content=content.getvalue(), headers=npy)
    assert (refused.status_code, "np.save" in refused.text) == (422, True)


def packed(*items: bytes) -> bytes:
    return b"".join(len(item).to_bytes(4, "little") + item for item in items)


def test_binary_tensors_get_the_same_answers(app: App, digits_run: Path) -> None:
    """As tritonclient sends them: bytes behind the JSON, and bytes for an answer."""
    classifier = load(digits_run)
    photos, wanted = three(classifier)
    inputs = np.stack([classifier.preprocess.read(photo) for photo in photos])
    texts = [base64.b64encode(photo) for photo in photos]
    shape = list(inputs.shape)
    for name, kind, size, content in (
        ("images", "UINT8", shape, inputs.tobytes()),
        ("images", "FP32", shape, (inputs / np.float32(255)).astype("<f4").tobytes()),
        ("image", "BYTES", [3], packed(*photos)),
        ("image", "BYTES", [3], packed(*texts)),
    ):
        parameters = {"binary_data_size": len(content)}
        tensor = {"name": name, "datatype": kind, "shape": size, "parameters": parameters}
        for wishes, binary in (
            ({}, ()),
            ({"parameters": {"binary_data_output": True}}, ("probabilities", "label")),
            ({"outputs": [{"name": "label", "parameters": {"binary_data": True}}]}, ("label",)),
            (
                {
                    "outputs": [
                        {"name": "label", "parameters": {"binary_data": False}},
                        {"name": "probabilities"},
                    ],
                    "parameters": {"binary_data_output": True},
                },
                ("probabilities",),
            ),
        ):
            head = json.dumps({"inputs": [tensor], **wishes}).encode()
            headers = {"Inference-Header-Content-Length": str(len(head))}
            path = "/v2/models/digits/infer"
            answer = ask(app, "POST", path, content=head + content, headers=headers)
            assert answer.status_code == 200, answer.text
            length = int(answer.headers.get("inference-header-content-length", len(answer.content)))
            values, rest = json.loads(answer.content[:length]), answer.content[length:]
            for output in values["outputs"]:
                assert ("data" not in output) == (output["name"] in binary)
                if "data" in output:
                    data = output["data"]
                else:
                    count = output["parameters"]["binary_data_size"]
                    data, rest = rest[:count], rest[count:]
                if output["name"] == "probabilities":
                    found = (
                        np.frombuffer(data, "<f4") if isinstance(data, bytes) else np.float32(data)
                    )
                    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
                else:
                    names = [classifier.class_names[i] for i in wanted.argmax(axis=1)]
                    assert data in (names, packed(*(one.encode() for one in names)))
            assert rest == b""


def test_binary_tensors_that_do_not_fit_are_refused(app: App) -> None:
    side = app.state.models["digits"].classifier.preprocess.size
    pixels = bytes(side * side)
    good = {"name": "images", "datatype": "UINT8", "shape": [1, 1, side, side]}

    def post(tensor: Any, content: bytes, length: object = None) -> Any:
        head = json.dumps({"inputs": [tensor]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head) if length is None else length)}
        return ask(app, "POST", "/v2/models/digits/infer", content=head + content, headers=headers)

    size: Any
    for size in (len(pixels) + 1, len(pixels) - 1, -1, "784", 1.5, None, True):
        assert post({**good, "parameters": {"binary_data_size": size}}, pixels).status_code == 422
    told = {**good, "parameters": {"binary_data_size": len(pixels)}}
    assert post(told, pixels).status_code == 200
    for length in (-1, 10**9, "x", 3):
        assert post(told, pixels, length).status_code == 422
    for kind in ("INT64", "FP64", "BYTES", None, [], {}):
        refused = post({**told, "datatype": kind}, pixels)
        assert refused.status_code == 422, kind
    for values in ([0.0, 2.0], [float("nan")] * 2, [-1.0, 0.0]):
        content = np.resize(np.array(values, "<f4"), side * side).tobytes()
        told = {**good, "datatype": "FP32", "parameters": {"binary_data_size": len(content)}}
        refused = post(told, content)
        assert (refused.status_code, "255" in refused.text) == (422, True)
    outputs: Any
    for outputs in ([{"name": "label", "parameters": {"classification": 3}}], [{"name": []}], [3]):
        body = json.dumps({"inputs": [{**good, "data": [0] * side * side}], "outputs": outputs})
        refused = ask(app, "POST", "/v2/models/digits/infer", content=body)
        assert refused.status_code == 422, outputs


@pytest.mark.parametrize("strange", [[], {}, [["images"]], None, 1, True])
@pytest.mark.parametrize("key", ["name", "datatype", "shape", "data"])
def test_parts_of_a_tensor_of_any_type_are_refused_in_words(
    app: App, key: str, strange: object
) -> None:
    good = {"name": "images", "datatype": "UINT8", "shape": [1], "data": [0]}
    for tensor in (
        {**good, key: strange},
        {**good, "name": "image", "datatype": "BYTES", key: strange},
    ):
        answer = ask(app, "POST", "/v2/models/digits/infer", json={"inputs": [tensor]})
        assert answer.status_code == 422, answer.text
