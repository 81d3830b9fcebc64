"""What every server of olhar's stands on, the board, the studio and `olhar serve`: HTTP, in plain ASGI.

    listening   sockets;  connection: slow and broken clients;  running: until a server is told to end
    hosts       the names a server answers to;  prefix: the path that a proxy shows it under
    request     what is asked, within its limits;  forms: files in it
    routes      which function answers;  answers: what it gives;  refusals: why there is none
    site        all of it, for pages that somebody opens on their own computer

Does not know: what is asked for, or who may ask.
"""
