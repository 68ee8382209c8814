"""A model that says what it is told to, as an OpenAI-compatible server: to try the gateways without
the benchmark. "Say 3 words, 5 ms apart." is answered with three numbered words, streaming.
"""

import argparse
import asyncio
import json
import re

WANTED = re.compile(rb"Say (\d+) words, (\d+) ms apart")


def event(delta, reason=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "mock"}
    return b"data: " + json.dumps(chunk | {"choices": [choice]} | more).encode() + b"\n\n"


async def answer(writer, words, pause):
    def send(data):
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    send(event({"role": "assistant", "content": ""}))
    for word in range(1, words + 1):
        send(event({"content": f" word-{word}."}))
        await writer.drain()
        if pause:
            await asyncio.sleep(pause / 1000)
    usage = {"prompt_tokens": 9, "completion_tokens": words, "total_tokens": words + 9}
    send(event({}, "stop", usage=usage) + b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1]) if length else 0)
            wanted = WANTED.search(body)
            words, pause = (int(wanted[1]), int(wanted[2])) if wanted else (1, 0)
            await answer(writer, words, pause)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    server = await asyncio.start_server(serve, "127.0.0.1", parser.parse_args().port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
