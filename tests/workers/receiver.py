"""A receiver of webhooks: writes down what it hears, then answers. FILE PORT
[STATUS | --refuses ID... | --hangs ID...]; a negative
PORT is a socket that is inherited, and listens also while nobody is here."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = int(self.headers["content-length"])
        body = self.rfile.read(size).decode()
        if len(body.encode()) < size:  # who sent it was stopped in the middle
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = int(sys.argv[3]) if len(sys.argv) == 4 else 204
        if sys.argv[3:4] == ["--refuses"] and headers["webhook-id"] in sys.argv[4:]:
            status = 500
        if hangs := sys.argv[3:4] == ["--hangs"] and headers["webhook-id"] in sys.argv[4:]:
            status = 599
        line = json.dumps({"headers": headers, "body": body, "status": status}) + "\n"
        handle = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, line.encode())
        os.close(handle)
        if hangs:
            threading.Event().wait()
        self.send_response(status)
        self.send_header("content-length", "0")
        self.send_header("location", self.path)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


port = int(sys.argv[2])
server = ThreadingHTTPServer(("127.0.0.1", max(port, 0)), Handler, bind_and_activate=port >= 0)
if port < 0:
    server.socket.close()
    server.socket = socket.socket(fileno=-port)
    server.server_address = server.socket.getsockname()
print(server.server_address[1], flush=True)
server.serve_forever()
