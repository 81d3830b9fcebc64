"""The page over HTTP: its files, its texts, and what only the page asks for.

    GET  /                 the page; GET /page/NAME its style, scripts and icon
    GET  /page/texts       its strings
    GET  /page/models      the models, their classes in the language asked for, what the page may do
    GET  /web              the model as one HTML file, see `web_file`
    POST /page/seen        a photo → PNG of what the network sees of it
    POST /page/drawing     {"strokes": [[[x, y], …], …]} → PNG of the digit, as the training digits are
    POST /explain          a photo → where the network looks: see `looked.explain_photo`
    POST /corrections      a photo, with ?label=, is kept: see `corrections.Corrections`

`model`, `lang` and `file` (what to call the photo) stand in the query. A photo is the body itself,
as image/… or application/octet-stream: a foreign page can send neither without being asked first
(CORS preflight). Answers to photos come from /predict, as everybody else's do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from olhar import i18n, looks
from olhar.i18n import _
from olhar.images import encode_png
from olhar.native.style import MNIST, digit_style
from olhar.serving import looked
from olhar.serving.bodies import read_json
from olhar.serving.corrections import Corrections
from olhar.serving.drawing import draw_digit, read_strokes
from olhar.serving.page_texts import page_texts
from olhar.serving.served import ServedModel
from olhar.serving.settings import ServeState
from olhar.serving.web_file import WebFiles
from olhar.web_server.answers import OWN_CAMERA, TYPES, Answer, file_answer, json_content
from olhar.web_server.refusals import RequestError, bad_request, wrong_media_type
from olhar.web_server.request import Request
from olhar.web_server.routes import Route, get, in_thread

_PAGE = Path(__file__).parent / "page"
_HEADERS = OWN_CAMERA | {"Cache-Control": "no-cache"}
_OPTIONS = ("model", "lang", "file", "invert")

Options = Mapping[str, str]


def page_routes(state: ServeState) -> Iterator[Route]:
    """The routes of the page. A refusal is raised as an OlharError, for the server to answer.

    Args:
        state: the settings, and the models, which may be replaced while it serves.
    """
    folder = state.settings.corrections
    corrections = None if folder is None else Corrections(folder)
    web_files = WebFiles()

    def take_along(request: Request) -> Answer:
        options = request.query
        _check_options(options, ("model", "lang"))
        model = state.model(options.get("model"))
        content = web_files.of(model)
        return Answer(200, content, "application/octet-stream", _file_name(model.name))

    def keep(body: bytes, options: Options) -> Answer:
        return _json(_keep(state, corrections, body, options))

    yield get("/", file_answer(_PAGE / "index.html", _HEADERS))
    for file in (*_PAGE.iterdir(), *(looks.FOLDER / name for name in looks.NAMES)):
        if file.suffix in TYPES:
            yield get(f"/page/{file.name}", file_answer(file, _HEADERS))
    yield get("/page/texts", lambda _request: _json(page_texts(i18n.language())))
    yield get("/page/models", lambda _request: _json(_describe(state)))
    yield get("/web", take_along)
    yield _post(state, "/page/seen", lambda body, options: _seen(state, body, options))
    yield _post(
        state, "/page/drawing", lambda body, options: _draw(state, body, options), json=True
    )
    yield _post(state, "/explain", lambda body, options: _explain(state, body, options), at_once=1)
    yield _post(state, "/corrections", keep, more_options=("label",))


def _file_name(name: str) -> dict[str, str]:
    plain = "".join(
        one if one.isascii() and (one.isalnum() or one in "-_.") else "_" for one in name
    )
    return {"Content-Disposition": f'attachment; filename="{plain}.html"'}


def _post(
    state: ServeState,
    path: str,
    answer: Callable[[bytes, Options], Answer],
    *,
    json: bool = False,
    at_once: int = 8,
    more_options: tuple[str, ...] = (),
) -> Route:
    """A route whose body is a photo, or JSON; `answer` runs in a thread, `at_once` of them.

    Explaining covers a photo hundreds of times, and the answers of others must not wait for that.
    """
    threads = ThreadPoolExecutor(
        at_once
    )  # a time limit may forget an answer, but its thread goes on

    async def handler(request: Request) -> Answer:
        options = request.query
        _check_options(options, (*_OPTIONS, *more_options))
        _check_type(request, json=json)
        body = await request.body(state.settings.max_bytes)
        if not body:
            raise bad_request(_("there is no photo in the request; send one or more"))
        return await in_thread(lambda: answer(body, options), threads)

    return Route("POST", path, handler)


def _check_options(options: Options, allowed: tuple[str, ...]) -> None:
    for name in options:
        if name not in allowed:
            raise bad_request(
                _(
                    "there is no parameter '{name}'; allowed: {allowed}",
                    name=name[:200],
                    allowed=", ".join(allowed),
                )
            )


def _check_type(request: Request, *, json: bool) -> None:
    given = request.header(b"content-type").partition(";")[0].strip().lower()
    if json:
        if given != "application/json":
            raise wrong_media_type(given, "application/json")
    elif not given.startswith("image/") and given != "application/octet-stream":
        raise wrong_media_type(given, "image/*, application/octet-stream")


def _describe(state: ServeState) -> dict[str, Any]:
    """What the page needs to know before the first photo."""
    return {
        "models": [_describe_model(model) for model in state.models.values()],
        "corrections": state.settings.corrections is not None,
        "max_bytes": state.settings.max_bytes,
    }


def _describe_model(model: ServedModel) -> dict[str, Any]:
    classifier, config = model.classifier, model.classifier.config
    return {
        "name": model.name,
        "network": str(config.network.get("name", "")),
        "data": Path(str(config.data.get("name", ""))).name,
        "size": classifier.preprocess.size,
        "grey": classifier.preprocess.channels == 1,
        "threshold": config.threshold,
        "classes": [
            {"label": label, "shown": classifier.shown_name(label)}
            for label in classifier.class_names
        ],
        "draws": digit_style(config) is not None,
        "web": WebFiles.possible(model),
    }


def _name(options: Options) -> str:
    return options.get("file", "-")


def _seen(state: ServeState, body: bytes, options: Options) -> Answer:
    classifier = state.model(options.get("model")).classifier
    preprocess = classifier.preprocess.reading(options.get("invert") or state.settings.invert)
    pixels = preprocess.read_pixels(body, name=_name(options), max_pixels=state.settings.max_pixels)
    return _png(encode_png(pixels))


def _draw(state: ServeState, body: bytes, options: Options) -> Answer:
    strokes = read_strokes(read_json(body).get("strokes"))
    style = digit_style(state.model(options.get("model")).classifier.config)
    return _png(encode_png(draw_digit(strokes, style or MNIST)[..., None]))


def _explain(state: ServeState, body: bytes, options: Options) -> Answer:
    classifier = state.model(options.get("model")).classifier
    classifier = classifier.reading(options.get("invert") or state.settings.invert)
    return _json(
        looked.explain_photo(
            classifier, body, name=_name(options), max_pixels=state.settings.max_pixels
        )
    )


def _keep(
    state: ServeState, corrections: Corrections | None, body: bytes, options: Options
) -> dict[str, Any]:
    if corrections is None:
        message = _("this server keeps no corrections; start it with --corrections FOLDER")
        raise RequestError(404, "not_found", message)
    if "label" not in options:
        raise bad_request(_("there is no label; add ?label=CLASS"))
    names = state.model(options.get("model")).classifier.class_names
    kept = corrections.keep(
        body,
        options["label"],
        names,
        name=_name(options),
        max_pixels=state.settings.max_pixels,
    )
    return kept.to_dict()


def _json(value: Any) -> Answer:
    return Answer(200, json_content(value))


def _png(content: bytes) -> Answer:
    return Answer(200, content, "image/png")
