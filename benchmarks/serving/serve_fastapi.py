"""A plain FastAPI handler, in the two ways that FastAPI's documentation shows.

uvicorn serve_fastapi:app --workers N
"""

from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from peer_model import describe, open_session, read_photo, run_network

app = FastAPI()
session = open_session()


@app.post("/predict-async")
async def predict_async(request: Request) -> dict[str, Any]:
    """In the event loop."""
    inputs = read_photo(await request.body())[None]
    return describe(run_network(session, inputs)[0])


@app.post("/predict-def")
def predict_def(photo: Annotated[bytes, Body(media_type="image/jpeg")]) -> dict[str, Any]:
    """In a thread of FastAPI's pool."""
    return describe(run_network(session, read_photo(photo)[None])[0])
