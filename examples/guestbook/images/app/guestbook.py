"""A guest book: one page that takes an entry and lists entries, kept in PostgreSQL.

`--check` asks the running program how it is and ends 0 when it is well.
"""

import html
import os
import signal
import socket
import sys
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

PORT = 8000
SHOWN = 50
LIMITS = {"name": 40, "text": 500}

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    text NOT NULL,
    text    text NOT NULL,
    written timestamptz NOT NULL DEFAULT now()
)
"""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Guest book</title>
<style>
  :root {{ color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #2a7f62; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }}
  h1 {{ margin: 0; }}
  form {{ display: grid; gap: .6rem; margin: 1.5rem 0 2rem; padding: 1rem; border: 1px solid var(--line); border-radius: .6rem; }}
  input, textarea, button {{ font: inherit; padding: .5rem .7rem; border: 1px solid var(--line); border-radius: .4rem; }}
  button {{ justify-self: start; background: var(--accent); color: #fff; border: 0; padding: .5rem 1.2rem; cursor: pointer; }}
  article {{ padding: .7rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; white-space: pre-line; }}
  article header {{ display: flex; justify-content: space-between; gap: 1rem; white-space: normal; }}
  time, footer, .none {{ opacity: .65; font-size: .875rem; }}
  footer {{ margin-top: 2rem; }}
</style>
<h1>Guest book</h1>
<form method="post" action="/">
  <input name="name" maxlength="{name_limit}" placeholder="Your name" required>
  <textarea name="text" rows="3" maxlength="{text_limit}" placeholder="What would you like to say?" required></textarea>
  <button>Sign the book</button>
</form>
{entries}
<footer>{count} in all, kept by PostgreSQL {server}; this page was made by {host}.</footer>
</html>
"""

ENTRY = """<article><header><strong>{name}</strong><time>{written}</time></header>{text}</article>"""


def connect():
    with open(os.environ["DB_PASSWORD_FILE"], encoding="utf-8") as file:
        password = file.read().strip()
    return psycopg.connect(
        host=os.environ["DB_HOST"],
        dbname=os.environ["DB_NAME"],
        user=os.environ["DB_USER"],
        password=password,
        connect_timeout=3,
    )


def render():
    with connect() as db:
        count = db.execute("SELECT count(*) FROM entries").fetchone()[0]
        rows = db.execute(
            "SELECT name, text, to_char(written AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC')"
            " FROM entries ORDER BY id DESC LIMIT %s",
            (SHOWN,),
        ).fetchall()
        server = db.execute("SHOW server_version").fetchone()[0].split()[0]
    entries = "\n".join(
        ENTRY.format(name=html.escape(name), text=html.escape(text), written=written) for name, text, written in rows
    )
    return PAGE.format(
        entries=entries or '<p class="none">Nobody has signed yet.</p>',
        count="1 entry" if count == 1 else f"{count} entries",
        server=html.escape(server),
        host=html.escape(socket.gethostname()),
        name_limit=LIMITS["name"],
        text_limit=LIMITS["text"],
    )


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        if self.path == "/healthz":
            self.guarded(self.health)
        elif self.path == "/":
            self.guarded(lambda: self.answer(200, render(), "text/html"))
        else:
            self.answer(404, "There is no such page.\n")

    def do_POST(self):
        if self.path == "/":
            self.guarded(self.sign)
        else:
            self.answer(404, "There is no such page.\n")

    def health(self):
        with connect() as db:
            db.execute("SELECT 1 FROM entries LIMIT 1")
        self.answer(200, "well\n")

    def sign(self):
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= 65536:
            return self.answer(400, "The form is too large, or says no size.\n")
        form = urllib.parse.parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
        # PostgreSQL's text takes every character but NUL.
        fields = {key: form.get(key, [""])[0].replace("\0", "").strip()[:limit] for key, limit in LIMITS.items()}
        if not all(fields.values()):
            return self.answer(400, "An entry needs a name and a text.\n")
        with connect() as db:
            db.execute("INSERT INTO entries (name, text) VALUES (%(name)s, %(text)s)", fields)
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def guarded(self, act):
        try:
            act()
        except psycopg.Error as error:
            self.log_error("database: %s", str(error).strip())
            self.answer(503, "The database does not answer; try again in a moment.\n")

    def answer(self, status, text, kind="text/plain"):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        # A request that cannot be read has neither a path nor headers.
        headers = getattr(self, "headers", None) or {}
        if getattr(self, "path", "") != "/healthz":
            print(f"{headers.get('X-Forwarded-For', self.client_address[0])} {format % args}", flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def check():
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=2).close()
    except OSError as error:
        print(error)
        return 1
    return 0


def serve():
    with connect() as db:
        db.execute(SCHEMA)
    server = Server(("", PORT), Handler)
    # shutdown() waits for the loop that this very thread runs.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on port {PORT}", flush=True)
    server.serve_forever(poll_interval=0.1)
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv[1:] else serve())
