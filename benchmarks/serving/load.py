"""Load where wrk is absent: so many connections, each of which posts one photo after the other.

It says what post.lua says, but takes more of the processor.

    python load.py URL FOLDER CONTENT-TYPE COUNT --connections 8 --seconds 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from urllib.parse import urlsplit


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Status of one request; its answer is read to the end."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
    await reader.readexactly(int(length))
    return int(head.split(b" ", 2)[1])


async def keep_posting(
    host: str, port: int, requests: list[bytes], first: int, end: float, seen: list[float]
) -> int:
    """Post until `end`, adding seconds of each request to `seen`; how many failed."""
    reader, writer = await asyncio.open_connection(host, port)
    failed, index = 0, first
    try:
        while (begun := time.perf_counter()) < end:
            status = await post(reader, writer, requests[index % len(requests)])
            seen.append(time.perf_counter() - begun)
            failed += status >= 400
            index += 1
    except (OSError, ValueError, asyncio.IncompleteReadError):
        failed += 1
    finally:
        writer.close()
    return failed


async def measure(args: argparse.Namespace) -> dict[str, float]:
    parts = urlsplit(args.url)
    bodies = [(args.folder / f"{index}.body").read_bytes() for index in range(args.count)]
    requests = [
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {args.content_type}"
        f"\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body in bodies
    ]
    seen: list[float] = []
    begun = time.perf_counter()
    where = (parts.hostname or "", parts.port or 80, requests)
    failed = await asyncio.gather(
        *(
            keep_posting(*where, first, begun + args.seconds, seen)
            for first in range(args.connections)
        )
    )
    seconds = time.perf_counter() - begun
    seen.sort()
    p50, p99 = (seen[min(len(seen) - 1, int(len(seen) * q))] * 1000 for q in (0.5, 0.99))
    return {
        "requests": len(seen),
        "seconds": seconds,
        "p50_ms": p50,
        "p99_ms": p99,
        "errors": sum(failed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("content_type")
    parser.add_argument("count", type=int)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
