"""The servers: each listens on a port that is not its own, and its client does a piece of real work.

In: a namespace, a directory of the server's own, a port. Out: processes; whether the work was done.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.net.netns import Netns

QUIET = {"stdin": -3, "stdout": -3, "stderr": -3}
SECONDS = 8
"""How long a client tries at most."""
NAME = "www.servers.test"
ADDRESS = {4: "192.0.2.7", 6: "2001:db8::7"}
MANY = ",".join(f"protocol-{number:03}" for number in range(120))
"""Protocols that make a ClientHello as large as one with a key of ML-KEM: 1.8 KB."""


@dataclass(frozen=True)
class Place:
    """Where a server is: its namespace, its directory, its port."""

    ns: Netns
    folder: Path
    port: int

    def start(self, *argv: str | Path, **options: Any) -> None:
        """Start a program that stays in the foreground; what it starts itself ends with it."""
        # Who changes its user is no longer told that its parent has died, so the shell stays.
        shell = ("sh", "-c", '"$@"; exit', "sh")
        alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *shell)
        with (self.folder / "log").open("ab") as log:
            quiet = {"stdin": -3, "stdout": log, "stderr": log}
            self.ns.spawn(*alone, *argv, **quiet | options)

    def write(self, name: str, text: str) -> Path:
        """Write a file into the directory."""
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Client:
    """Whom a client asks, from which namespace."""

    ns: Netns
    ip: str
    port: int
    folder: Path

    @property
    def host(self) -> str:
        """The address as URLs have it."""
        return f"[{self.ip}]" if ":" in self.ip else self.ip

    @property
    def family(self) -> int:
        """The IP version."""
        return 6 if ":" in self.ip else 4

    def says(self, *argv: str | Path, **options: Any) -> str:
        """Return what a program prints; nothing, if it fails or takes too long."""
        timed = ("timeout", "-s", "KILL", str(SECONDS), *argv)
        done = self.ns.run(*timed, check=False, **options)
        return done.stdout.strip() if done.returncode == 0 else ""

    def runs(self, source: str) -> str:
        """Return what a Python program prints."""
        return self.says("/usr/bin/python3", "-c", source, self.ip, str(self.port))


@dataclass(frozen=True)
class Server:
    """A row of the table."""

    name: str
    app: str
    start: Callable[[Place], None]
    work: Callable[[Client], bool]
    proto: str = "tcp"
    denied_as: str | None = None
    """What a denied connection shows, if not the application."""


def _nginx(place: Place) -> None:
    place.write("page", "forty-two")
    place.start("nginx", "-p", place.folder, "-c", place.write("conf", f"""
        daemon off; master_process off; user root; pid {place.folder}/pid; error_log stderr;
        events {{}}
        http {{ access_log off; server {{ listen {place.port}; listen [::]:{place.port}; root {place.folder}; }} }}
    """))  # fmt: skip


def _nginx_http2(place: Place) -> None:
    place.write("page", "forty-two")
    place.start("nginx", "-p", place.folder, "-c", place.write("conf", f"""
        daemon off; master_process off; user root; pid {place.folder}/pid; error_log stderr;
        events {{}}
        http {{ access_log off;
            server {{ listen {place.port} http2; listen [::]:{place.port} http2; root {place.folder}; }} }}
    """))  # fmt: skip


def _curl(client: Client, *options: str) -> bool:
    url = f"http://{client.host}:{client.port}/page"
    return client.says("curl", "-sS", *options, url) == "forty-two"


def _postgresql(place: Place) -> None:
    (binaries,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    shutil.chown(place.folder, "postgres")
    me = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    data = place.folder / "data"
    place.start("sh", "-c", f"""
        {' '.join(me)} {binaries}/initdb -D {data} -A trust -N --no-instructions -E UTF8 --locale C &&
        printf 'host all all all trust\\n' >>{data}/pg_hba.conf &&
        exec {' '.join(me)} {binaries}/postgres -D {data} -h '*' -p {place.port} -k {place.folder} -F
    """)  # fmt: skip


def _psql(client: Client) -> bool:
    to = f"host={client.ip} port={client.port} user=postgres connect_timeout={SECONDS}"
    return client.says("psql", "-Atc", "select 6 * 7", to) == "42"


def _mariadb(place: Place) -> None:
    shutil.chown(place.folder, "mysql")
    data = place.folder / "data"
    options = f"--no-defaults --datadir={data} --user=mysql --innodb-log-file-size=4M"
    place.start("sh", "-c", f"""
        mariadb-install-db {options} --skip-test-db --auth-root-authentication-method=normal &&
        exec mariadbd {options} --port={place.port} --bind-address='*' --socket={place.folder}/s \
            --pid-file={place.folder}/pid --skip-grant-tables --skip-name-resolve --innodb-buffer-pool-size=8M
    """)  # fmt: skip


def _mariadb_client(client: Client) -> bool:
    to = ("--no-defaults", "-h", client.ip, "-P", str(client.port), "-u", "root")
    return client.says("mariadb", *to, "-Ne", "select 6 * 7") == "42"


def _redis(place: Place) -> None:
    place.start(
        *("redis-server", "--port", str(place.port), "--bind", "*", "-::*"),
        *("--protected-mode", "no", "--save", "", "--dir", place.folder),
    )


def _redis_cli(client: Client) -> bool:
    to = ("redis-cli", "-h", client.ip, "-p", str(client.port))
    return client.says(*to, "set", "a", "42") == "OK" and client.says(*to, "get", "a") == "42"  # fmt: skip


def _memcached(place: Place) -> None:
    place.start("memcached", "-u", "root", "-p", str(place.port), "-U", "0")


def _pymemcache(client: Client) -> bool:
    return client.runs("""
import sys; from pymemcache.client.base import Client
one = Client((sys.argv[1], int(sys.argv[2])), timeout=8); one.set("a", "42"); print(one.get("a").decode())
""") == "42"  # fmt: skip


def _sshd(place: Place) -> None:
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        key = place.folder / name
        place.ns.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    place.start("/usr/sbin/sshd", "-D", "-e", "-f", place.write("conf", f"""
Port {place.port}
HostKey {place.folder}/host
PidFile none
AuthorizedKeysFile {place.folder}/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
UseDNS no
PrintMotd no
"""))  # fmt: skip


def _ssh(client: Client) -> bool:
    no = ("UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "BatchMode=yes")
    options = [word for one in no for word in ("-o", one)]
    key, port = str(client.folder / "user"), str(client.port)
    to = ("-i", key, "-p", port, "-l", getpass.getuser(), client.ip)
    argv = ("ssh", "-F", "/dev/null", *options, *to, "echo 42")
    return client.says(*argv, stdin=-3) == "42"


def _slapd(place: Place) -> None:
    place.write("conf", f"""
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {place.folder}/pid
database mdb
maxsize 1048576
suffix "dc=test"
rootdn "cn=admin,dc=test"
rootpw secret
directory {place.folder}
""")  # fmt: skip
    every = f"ldap://0.0.0.0:{place.port} ldap://[::]:{place.port}"
    place.start("slapd", "-d", "0", "-f", place.folder / "conf", "-h", every)


def _ldap(client: Client) -> bool:
    of = ("-x", "-H", f"ldap://{client.host}:{client.port}")
    me = ("-D", "cn=admin,dc=test", "-w", "secret")
    name = f"v{client.family}"
    entry = f"dn: ou={name},dc=test\nobjectClass: organizationalUnit\nou: {name}\n"
    if client.family == 4:
        entry = f"dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: o\ndc: test\n\n{entry}"  # fmt: skip
    client.says("ldapadd", *of, *me, "-c", input=entry)
    found = client.says("ldapsearch", *of, "-LLL", "-b", "dc=test", f"ou={name}", "ou")
    return f"ou: {name}" in found


def _mosquitto(place: Place) -> None:
    lines = f"listener {place.port}\nallow_anonymous true\nuser root\n"
    place.start("mosquitto", "-c", place.write("conf", lines))


def _mosquitto_clients(client: Client) -> bool:
    to = ("-h", client.ip, "-p", str(client.port), "-t", f"topic/{client.family}")
    client.says("mosquitto_pub", *to, "-r", "-m", "42")
    return client.says("mosquitto_sub", *to, "-C", "1", "-W", "3") == "42"


def _rabbitmq(place: Place) -> None:
    files = {"MNESIA_BASE": "m", "LOG_BASE": "l", "ENABLED_PLUGINS_FILE": "p", "PID_FILE": "pid"}  # fmt: skip
    place.write("p", "[].\n")
    place.start(
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
        env=os.environ
        | {f"RABBITMQ_{key}": str(place.folder / name) for key, name in files.items()}
        | {
            "HOME": str(place.folder),
            "RABBITMQ_NODENAME": "segt@localhost",
            "RABBITMQ_NODE_PORT": str(place.port),
            "RABBITMQ_CONFIG_FILE": str(place.write("rabbit.conf", f"loopback_users = none\nlisteners.tcp.1 = :::{place.port}\n")),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
            "RABBITMQ_FEATURE_FLAGS": "",
        },
    )  # fmt: skip


def _amqp(client: Client) -> bool:
    to = ("--url", f"amqp://guest:guest@{client.host}:{client.port}")
    queue = f"queue{client.family}"
    client.says("amqp-declare-queue", *to, "-q", queue)
    client.says("amqp-publish", *to, "-r", queue, "-b", "42")
    return client.says("amqp-get", *to, "-q", queue) == "42"


def _dnsmasq(place: Place) -> None:
    place.start(
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv"),
        *("--no-hosts", "--pid-file=", f"--port={place.port}", "--user=root"),
        f"--host-record={NAME},{','.join(ADDRESS.values())}",
    )


def _unbound(place: Place) -> None:
    place.start("unbound", "-d", "-p", "-c", place.write("conf", f"""
server:
  interface: 0.0.0.0@{place.port}
  interface: ::@{place.port}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  username: ""
  chroot: ""
  directory: "{place.folder}"
  do-daemonize: no
  interface-automatic: no
  local-zone: "test." static
  local-data: "{NAME}. A {ADDRESS[4]}"
  local-data: "{NAME}. AAAA {ADDRESS[6]}"
"""))  # fmt: skip


def _dig(client: Client, *options: str) -> bool:
    kind = "A" if client.family == 4 else "AAAA"
    asked = (f"@{client.ip}", "-p", str(client.port), "+short", "+tries=1", "+time=3")
    return client.says("dig", *asked, *options, NAME, kind) == ADDRESS[client.family]


def _dig_tcp(client: Client) -> bool:
    return _dig(client, "+tcp")


def _postfix(place: Place) -> None:
    owner = pwd.getpwnam("postfix").pw_uid
    place.folder.chmod(0o755)
    for name in ("queue", "data"):
        (place.folder / name).mkdir()
    os.chown(place.folder / "data", owner, -1)
    place.write("main.cf", f"""
compatibility_level = 3.6
queue_directory = {place.folder}/queue
data_directory = {place.folder}/data
maillog_file_prefixes = {place.folder}
maillog_file = {place.folder}/maillog
myhostname = mail.test
mydestination =
inet_interfaces = all
inet_protocols = all
mynetworks = 0.0.0.0/0, [::]/0
smtpd_tls_security_level = none
default_transport = discard
relay_transport = discard
alias_maps =
smtpd_peername_lookup = no
local_recipient_maps =
""")  # fmt: skip
    rows = ["cleanup unix n - n - 0 cleanup", "pickup unix n - n 60 1 pickup", "qmgr unix n - n 300 1 qmgr", "postlog unix-dgram n - n - 1 postlogd"]  # fmt: skip
    every = "rewrite:trivial-rewrite bounce defer:bounce trace:bounce proxymap anvil scache discard error"
    for word in every.split():
        name, _, program = word.partition(":")
        rows.append(f"{name} unix - - n - 0 {program or name}")
    rows.append(f"{place.port} inet n - n - - smtpd")
    place.write("master.cf", "\n".join(rows) + "\n")
    place.start("sh", "-c", f"postfix -c {place.folder} check; exec /usr/lib/postfix/sbin/master -c {place.folder} -d")  # fmt: skip


def _smtplib(client: Client) -> bool:
    return client.runs("""
import smtplib, sys
with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), "client.test", timeout=8) as mail:
    print(mail.sendmail("a@client.test", ["b@other.test"], "Subject: forty-two\\r\\n\\r\\n42\\r\\n"))
""") == "{}"  # fmt: skip


def _s_server(place: Place) -> None:
    key, made = place.folder / "key", place.folder / "certificate"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    name = ("-subj", f"/CN={NAME}", "-days", "9", "-keyout", key, "-out", made)
    place.ns.run("openssl", "req", "-x509", *curve, *name)
    options = ("-key", key, "-cert", made, "-accept", str(place.port), "-www")
    place.start("openssl", "s_server", *options, "-alpn", "protocol-007")


def _s_client(client: Client) -> bool:
    to = ("-connect", f"{client.host}:{client.port}", "-servername", NAME)
    asked = ("openssl", "s_client", *to, "-alpn", MANY, "-quiet", "-ign_eof")
    return "Secure Renegotiation" in client.says(*asked, input="GET / HTTP/1.0\r\n\r\n")


def _etcd(place: Place) -> None:
    peers, asked = f"http://127.0.0.1:{place.port + 1}", f"http://[::]:{place.port}"
    place.start(
        *("etcd", "--name", "one", "--data-dir", place.folder / "data"),
        *("--listen-client-urls", asked, "--advertise-client-urls", asked),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", f"one={peers}", "--unsafe-no-fsync"),
    )


def _etcdctl(client: Client) -> bool:
    to = ("etcdctl", "--endpoints", f"http://{client.host}:{client.port}", "--dial-timeout=3s", "--command-timeout=5s")  # fmt: skip
    env = os.environ | {"ETCDCTL_API": "3"}
    put = client.says(*to, "put", "a", "42", env=env)
    got = client.says(*to, "get", "a", "--print-value-only", env=env)
    return (put, got) == ("OK", "42")


SERVERS = (
    Server("nginx", "HTTP", _nginx, _curl),
    Server("nginx-http2", "HTTP2", _nginx_http2, lambda c: _curl(c, "--http2-prior-knowledge")),
    Server("postgresql", "PostgreSQL", _postgresql, _psql),
    Server("mariadb", "MySQL", _mariadb, _mariadb_client),
    Server("redis", "Redis", _redis, _redis_cli),
    Server("memcached", "Memcached", _memcached, _pymemcache),
    Server("openssh", "SSH", _sshd, _ssh),
    Server("openldap", "LDAP", _slapd, _ldap),
    Server("mosquitto", "MQTT", _mosquitto, _mosquitto_clients),
    Server("rabbitmq", "AMQP", _rabbitmq, _amqp),
    Server("dnsmasq", "DNS", _dnsmasq, _dig, "udp"),
    Server("unbound", "DNS", _unbound, _dig_tcp),
    Server("postfix", "SMTP", _postfix, _smtplib),
    Server("openssl", "TLS", _s_server, _s_client),
    # Its client asks for nothing before it has the settings of the server.
    Server("etcd", "etcd", _etcd, _etcdctl, denied_as="HTTP2"),
)  # fmt: skip
FIRST_PORT = 21000
"""Every tenth port from here on is a server's."""


def port_of(server: Server) -> int:
    """Return the port that the server listens on."""
    return FIRST_PORT + 10 * SERVERS.index(server)
