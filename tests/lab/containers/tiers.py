"""Three tiers of a shop as containers: web (nginx) asks app (Python), app asks db (PostgreSQL).
Beside them client, who visits web, and stranger, whom nobody has business with.

The image has next to nothing in it: /usr is this host's, mounted read-only, so the programs are
Debian's own, and no registry is asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.lab.containers.runtimes import Box, Runtime, write_image
from tests.lab.pace import LabError, in_time
from tests.lab.processes import call

TIERS = ("web", "app", "db")
APP_PORT, DB_PORT = 8080, 5432
IMAGE = "localhost/segctl-tiers:1"
NETWORK = "shop"

NGINX_CONF = f"""
daemon off; user root; worker_processes 1; pid /tmp/nginx.pid; error_log /dev/stderr crit;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
  uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; proxy_connect_timeout 2s; proxy_read_timeout 2s;
  server {{ listen 80; location / {{ proxy_pass http://app:{APP_PORT}; }} }}
}}
"""
# One connection to the database, kept open: its answer names the server's process behind it.
APP = f"""
import http.server, json, psycopg2
db = psycopg2.connect(host="db", user="shop", dbname="postgres")
db.autocommit = True
class Orders(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with db.cursor() as cursor:
            cursor.execute("select count(*), sum(amount), pg_backend_pid() from orders")
            row = cursor.fetchone()
        body = json.dumps(dict(zip(("orders", "amount", "backend"), row))) + "\\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
http.server.ThreadingHTTPServer(("", {APP_PORT}), Orders).serve_forever()
"""
DB = """
set -e
initdb -D /tmp/data -A trust -U shop --no-sync >/dev/null
echo 'host all all all trust' >>/tmp/data/pg_hba.conf
exec postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
"""
ORDERS = "create table orders (amount int); insert into orders values (30), (12), (58)"
EXPECTED = {"orders": 3, "amount": 100}
LEARNED = {
    ("web-clients", "web", "tcp/80"): 1,
    ("web", "app", f"tcp/{APP_PORT}"): 1,
    ("app", "db", f"tcp/{DB_PORT}"): 1,
}
"""The rules that visits must have taught: from, to, port, and once each."""
PROTECT = "modes: {web: protect, app: protect, db: protect}\n"
"""What the reviewer adds."""

MAY_READ = ("policy", "test", "--from", "web", "--to", "db", "--port", f"tcp/{DB_PORT}")
"""May web read db itself, past app?"""
TRY_OUT = ("policy", "simulate", "--fail-on", "denied", "-f")
"""To be followed by a file."""
DENIALS = ("events", "--kind", "denial", "--workload")
"""To be followed by a name; see `denials`."""

FILES = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\npostgres:x:70:70:postgres:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\npostgres:x:70:\n",
    "etc/nginx/nginx.conf": NGINX_CONF,
    "etc/app.py": APP,
    "etc/db.sh": DB,
}
DIRECTORIES = {"etc/nginx": 0o755, "usr": 0o755, "tmp": 0o1777}
LINKS = ("bin", "sbin", "lib", "lib64")


def postgres_programs() -> Path | None:
    """Where the newest PostgreSQL server of this host has its programs, psql among them."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((path.parent for path in found), default=None)


def lacking() -> str:
    """What this host has not got that the tiers need; empty: nothing."""
    if not postgres_programs():
        return "PostgreSQL is not installed"
    found = call("/usr/bin/python3", "-c", "import psycopg2")
    return "python3-psycopg2 is not installed" if found.returncode else ""


def agent_config(folder: Path, container_host: str) -> Path:
    """The tiers are attached as they start, by their label; client and stranger are not."""
    roles = "".join(f"  - selector: {{labels: {{role: {tier}}}}}\n" for tier in TIERS)
    hosts = f"container-hosts: [{container_host}]\n"
    config = folder / "agent.yaml"
    config.write_text(f"apiVersion: segctl/v1\n{hosts}auto-attach:\n{roles}")
    return config


def denials(told: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Where a workload wanted to go in vain, and the reason, as its events have it."""
    return {(one["destination"], one["reason"]) for one in told["events"]}


def without_db(policy: str) -> str:
    """The policy less its rule for app and db."""
    kept = [line for line in policy.splitlines() if "from: app, to: db" not in line]
    return "\n".join(kept) + "\n"


def between(policy: str) -> Counter[tuple[str, str, str]]:
    """What the rules of a policy are about: from, to, and each port."""
    rules = yaml.safe_load(policy).get("rules", ())
    return Counter(
        (rule["from"], rule["to"], port) for rule in rules for port in rule["ports"]
    )


class Tiers:
    """The containers, by a container runtime."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.exec = runtime.exec
        self._folder = folder

    def start(self) -> None:
        """Return when every one of them answers, and all may reach all."""
        tar = self._folder / "tiers.tar"
        # A handful of files; everything else comes with /usr.
        links = {name: f"usr/{name}" for name in LINKS}
        write_image(tar, DIRECTORIES, links, FILES, {})
        self.runtime.do("import", str(tar), IMAGE)
        self.runtime.do("network", "create", NETWORK)
        self._container("db", "--user", "postgres", program=("/bin/sh", "/etc/db.sh"))
        insert = ("psql", "-qh", "/tmp", "-U", "shop", "postgres", "-c", ORDERS)
        self._await("db", "db", *insert)
        self._container("app", program=("/usr/bin/python3", "/etc/app.py"))
        self._container(
            "web", program=("/usr/sbin/nginx", "-c", "/etc/nginx/nginx.conf")
        )
        self._container("client", program=("/bin/sleep", "3600"))
        self._container(
            "stranger", program=("/usr/bin/python3", "-m", "http.server", "80")
        )
        self._await("app", "client", *self.visit)
        self._await("stranger", "app", *self.leak)

    def orders(self) -> dict[str, Any]:
        """What client gets from db through web and app; empty where it gets nothing."""
        done = self.exec("client", *self.visit)
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            return {}
        return found

    visit = ("curl", "-sSf", "-m", "3", "http://web/orders")
    """client asks web."""
    steal = ("psql", "-h", "db", "-U", "shop", "postgres", "-tc", "table orders")
    """web asks db itself, past app."""
    leak = ("curl", "-sS", "-m", "2", "http://stranger/")
    """app talks to the stranger."""

    def denial(self, name: str, port: int) -> tuple[str, str]:
        """What `denials` has of who wanted to go there."""
        return f"{self.runtime.address(name, NETWORK)}:{port}", "default_deny"

    def box(self, name: str) -> Box:
        """As segctl sees it."""
        return self.runtime.box(name, NETWORK)

    def _container(self, name: str, *options: str, program: Sequence[str]) -> None:
        label = ("--label", f"role={name}") if name in TIERS else ()
        self.runtime.do(
            *("run", "-d", "--name", name, *label, *options),
            *("--network", NETWORK, "-v", "/usr:/usr:ro"),
            *("-e", f"PATH={postgres_programs()}:/usr/sbin:/usr/bin"),
            *("-e", "PGCONNECT_TIMEOUT=2", IMAGE, *program),
        )

    def _await(self, name: str, client: str, *argv: str) -> None:
        """Until `name` answers what `client` asks of it."""
        if not in_time(lambda: self.exec(client, *argv).returncode == 0, 30):
            done, logs = self.exec(client, *argv), self.runtime.do("logs", name)
            said = f"{done.stdout}{done.stderr}{logs}"
            raise LabError(f"{name} does not answer {client}: {said}")
