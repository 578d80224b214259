"""The ceiling: raw sockets, answers counted and not read. What the server and one processor can do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from batchers.files import MODEL, prompts, write_answers


def work(url: str, source: Path, out: Path, concurrency: int) -> None:
    at = urlsplit(url)
    head = f"POST {at.path}/chat/completions HTTP/1.1\r\nhost: {at.netloc}\r\ncontent-type: application/json\r\n"
    waiting = prompts(source)
    done: list[tuple[int, str]] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        for number, text in waiting:
            body = f'{{"model":"{MODEL}","messages":[{{"role":"user","content":"{text}"}}]}}'
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
            top = await reader.readuntil(b"\r\n\r\n")
            length = int(top.rpartition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            done.append((number, ""))
        writer.close()

    async def go() -> None:
        await asyncio.gather(*(one() for _ in range(concurrency)))

    asyncio.run(go())
    write_answers(out, done)
