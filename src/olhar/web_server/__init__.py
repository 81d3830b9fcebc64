"""What every server of olhar's stands on, the board, the studio and `olhar serve`: HTTP, in plain ASGI.

    listening   sockets;  connection: slow and broken clients
    hosts       the names a server answers to;  prefix: the path that a proxy shows it under
    request     what is asked, within its limits
    refusals    requests that are not answered: why, with which status

Does not know: what is asked for, or who may ask.
"""
