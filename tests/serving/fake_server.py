"""A server of TF Serving's REST protocol with a mind of its own."""

import base64
import contextlib
import http.server
import json
import threading


def answer(file):
    """What the server says about a file: its bytes are its class."""
    if file.startswith(b"bad"):
        blank = {"top_classes": ["", ""], "top_probabilities": [0.0, 0.0]}
        return {**blank, "error": "is not an image"}
    classes = [file.decode(), "other"]
    return {
        "top_classes": classes,
        "top_probabilities": [0.75, 0.25],
        "boxes": [[0.0, 0.0, 1.0, 0.5]],
        "logits": [1.0, 2.0],
        "error": "",
    }


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        self.server.seen.append((self.path, request))
        rows = [
            answer(base64.b64decode(row["b64"], validate=True))
            for row in request["instances"]
        ]
        replies = self.server.replies
        reply = replies.pop(0) if replies else (200, None)
        if reply == "hang":
            self.server.released.wait()
        elif reply == "hang up":
            self.close_connection = True
        elif reply == "half":
            self._send(200, b'{"predic', length=999)
            self.close_connection = True
        else:
            status, content = reply
            if content is None:
                content = json.dumps({"predictions": rows}).encode()
            self._send(status, content)

    def _send(self, status, content, length=None):
        self.send_response(status)
        self.send_header("Content-Length", length or len(content))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def serving():
    """A server on a free loopback port.

    `replies` are given in turn, then true predictions: `(status, content)`,
    or "hang", "hang up", "half". `seen` holds what was asked.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.replies, server.seen = [], []
    server.released = threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
