"""What a request to classify asks, whatever the form of its body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from olhar.data_settings import INVERT
from olhar.errors import unknown_name
from olhar.i18n import LANGUAGES, _, normalise_language
from olhar.serving.engine import Photo
from olhar.web_server.refusals import RequestError, bad_request

_MOST_TOP_K = 100_000
OPTIONS = ("model", "top_k", "threshold", "invert", "lang")


@dataclass
class Asked:
    """What a request to classify asks.

    Attributes:
        photos: (name, content or pixels).
        model: its name; None for the first.
        top_k: classes in an answer.
        threshold: instead of the model's own; None for that.
        invert: auto, no or yes; None for what the server's settings say.
        language: of messages; None for what the client's headers say.
    """

    photos: list[tuple[str, Photo]] = field(default_factory=list)
    model: str | None = None
    top_k: int = 3
    threshold: float | None = None
    invert: str | None = None
    language: str | None = None

    def set_option(self, name: str, value: Any) -> None:
        """Take one option.

        Raises:
            RequestError: it does not exist, or not with this value.
        """
        if name not in OPTIONS:
            message = unknown_name(_("parameter"), name[:200], OPTIONS).message
            raise RequestError(422, "request", message)
        if name == "model":
            if not isinstance(value, str):
                raise wrong_value(name, value, _("the name of a model"))
            self.model = value or None
        elif name == "lang":
            self.language = normalise_language(value) if isinstance(value, str) else None
            if self.language is None:
                raise wrong_value(name, value, ", ".join(LANGUAGES))
        elif name == "invert":
            if value not in INVERT:
                raise wrong_value(name, value, ", ".join(INVERT))
            self.invert = value
        elif name == "top_k":
            number = _number(value)
            if number is None or not number.is_integer() or not 1 <= number <= _MOST_TOP_K:
                raise wrong_value(name, value, _("a whole number, 1 or more"))
            self.top_k = int(number)
        else:
            self.threshold = _number(value)
            if self.threshold is None or not 0 <= self.threshold <= 1:
                raise wrong_value(name, value, _("a number from 0 to 1"))


def check_count(count: int, max_images: int) -> None:
    """Raise RequestError where one request has too many photos."""
    if count > max_images:
        raise RequestError(
            413,
            "too_large",
            _(
                "there are {count} photos in one request; allowed: {limit}; send several requests",
                count=count,
                limit=max_images,
            ),
        )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def wrong_value(name: str, value: Any, allowed: object) -> RequestError:
    """The error for a value that a parameter cannot have."""
    return bad_request(
        _(
            "{name} is {given}; allowed: {allowed}",
            name=name,
            given=str(value)[:200],
            allowed=allowed,
        )
    )
