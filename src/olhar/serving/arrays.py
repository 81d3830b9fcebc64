"""A body that is a NumPy file (application/x-npy), as SageMaker's clients send arrays."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.i18n import _
from olhar.web_server.refusals import RequestError, bad_request


def read_npy(body: bytes) -> list[NDArray[Any]]:
    """The pixels of one image (H, W[, C]), or of several (N, H, W, C), as views of the body.

    Raises:
        RequestError: it is no such file, holds objects, or is cut off.
    """
    content = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(content)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, by_columns, kind = read(content)
        if kind.hasobject or kind.itemsize * math.prod(shape) != len(body) - content.tell():
            raise ValueError
        values = np.frombuffer(body, kind, offset=content.tell())
        array = values.reshape(shape, order="F" if by_columns else "C")
    except (ValueError, TypeError, SyntaxError, EOFError, MemoryError, RecursionError) as error:
        raise _refused() from error
    if array.size == 0 or array.ndim not in {2, 3, 4}:
        raise _refused()
    return list(array) if array.ndim == 4 else [array]


def _refused() -> RequestError:
    return bad_request(
        _(
            "the body is no NumPy file of pixels; allowed: one array of (height, width), (height, width, "
            "channels) or (number, height, width, channels), as np.save writes it"
        )
    )
