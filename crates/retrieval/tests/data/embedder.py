"""A real model of embeddings behind the interface of OpenAI: WordLlama, whose weights are in its package.

Arguments: the folder it was installed into, and a port."""

import http.server
import json
import os
import sys

sys.path.insert(0, sys.argv[1])

import wordllama

MODEL = wordllama.WordLlama.load(cache_dir=os.path.dirname(wordllama.__file__), disable_download=True)


class Interface(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer({"object": "list", "data": []})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        vectors = MODEL.embed(asked["input"], norm=True)
        data = [
            {"object": "embedding", "index": at, "embedding": [float(x) for x in vector]}
            for at, vector in enumerate(vectors)
        ]
        self.answer({"object": "list", "model": asked["model"], "data": data})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Interface).serve_forever()
