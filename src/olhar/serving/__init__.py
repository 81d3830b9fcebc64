"""Serving: HTTP protocols, batching, limits, the try-it page.

    settings        what a server may do; what its routes share
    engine          the one way from photos to answers; models that are being served
    batching        threads that decode what waits and run the network on it at once
    bodies          what a request asks: raw photos, JSON;  multipart: forms;  photo_text: base64;
                    arrays: NumPy files
    open_inference  the V2 protocol;  binary_tensors: bytes behind its JSON
    tensorflow_serving  the V1 protocol
    app             HTTP: routes, errors, the log;  guard: who may ask
    metrics         counters for Prometheus;  openapi: the description
    reload          new versions taken over while it serves
    server          messages;  worker: one process;  workers: several
    page_routes     the page, with corrections, drawing, looked and page_texts

It stands on web_server. Does not know: how a model was trained. Needs no torch.
"""
