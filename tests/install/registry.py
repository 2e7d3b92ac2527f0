"""ComfyUI's registry as Manager asks it, with one pack, on this machine."""

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def registry(name, version, archive):
    """The address of a registry that has this version of the pack in the file archive."""
    node = {"id": name, "name": name, "latest_version": {"version": version}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            if path == "/nodes":
                self.answer(json.dumps({"nodes": [node], "totalPages": 1}).encode())
            elif path == f"/nodes/{name}/install":
                self.answer(json.dumps({"id": name, "version": version, "downloadUrl": f"{address}/{archive.name}"}).encode())
            elif path == f"/{archive.name}":
                self.answer(archive.read_bytes())
            else:
                self.send_error(404)

        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # Manager looks whether there is a redirection before it reads
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield address
        server.shutdown()
