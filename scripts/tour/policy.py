"""The demo's second act: web → app → db, discovered, learned, simulated, enforced, and broken into.

Needs Docker, PostgreSQL and psycopg2; without one of them it says so, and is left out.
"""

from __future__ import annotations

from scripts.tour.story import (
    Segctl,
    chapter,
    check,
    check_given_back,
    say,
    typed,
)
from tests.lab.containers.runtimes import private_docker
from tests.lab.containers.tiers import (
    APP_PORT,
    DB_PORT,
    DENIALS,
    EXPECTED,
    LEARNED,
    MAY_READ,
    PROTECT,
    TIERS,
    TRY_OUT,
    Tiers,
    agent_config,
    between,
    denials,
    lacking,
    without_db,
)
from tests.lab.net.netns import Lab
from tests.lab.net.snapshot import seen_inside
from tests.lab.pace import UnavailableError, in_time

VISITS = 5


class Act:
    """What every scene needs."""

    def __init__(self, lab: Lab, tiers: Tiers) -> None:
        self.lab = lab
        self.tiers = tiers
        self.segctl = Segctl(lab, tiers.runtime.environment)
        self.before = {name: seen_inside(tiers.box(name).pid) for name in TIERS}
        self.backend = tiers.orders()["backend"]
        """PostgreSQL's process behind the one connection that app has to it."""

    def visit(self) -> bool:
        """Whether client gets its answer out of db, by app's first connection."""
        typed("docker", "exec", "client", *self.tiers.visit)
        got = self.tiers.orders()
        say(str(got or "no answer"))
        return got == {**EXPECTED, "backend": self.backend}

    def tries(self, name: str, argv: tuple[str, ...]) -> bool:
        """Whether something done in a container works."""
        typed("docker", "exec", name, *argv)
        done = self.tiers.exec(name, *argv)
        said = (done.stdout if done.returncode == 0 else done.stderr).split("\n")[0]
        say(said.strip())
        return done.returncode == 0

    def is_told(self, name: str, destination: str, port: int) -> bool:
        """Whether the events have the denial, at a workload, of what it wanted to reach."""
        wanted = self.tiers.denial(destination, port)
        return wanted in denials(self.segctl.json(*DENIALS, name))


def show_before(act: Act) -> None:
    chapter("web → app → db: three containers, and nobody in between")
    environment = act.segctl.agent.environment
    names = ("DOCKER_HOST", "SEGCTL_INSTANCE")
    typed("export", *(f"{name}={environment[name]}" for name in names))
    say("web: nginx; app: Python, one connection to db; db: PostgreSQL")
    check(act.visit(), "client is answered by web, out of db")
    check(act.tries("web", act.tiers.steal), "web may read db itself, past app")
    check(act.tries("app", act.tiers.leak), "app may talk to any stranger")


def show_attach(act: Act) -> None:
    chapter("Attach by label")
    config = agent_config(act.lab.folder, act.tiers.runtime.url)
    typed("cat", config.name)
    print(config.read_text().rstrip())
    act.segctl.start_agent("--config", config.name)

    def attached() -> bool:
        listed = act.segctl.run("list", "-o", "json", show=False, expect=None)
        return all(f'"name": "{tier}"' in listed for tier in TIERS)

    check(in_time(attached, 30), "web, app and db are attached; none was named")
    listed = act.segctl.show("list")
    check("client" not in listed and "stranger" not in listed, "the others are not")


def show_discovery(act: Act) -> None:
    chapter("Discover")
    check(act.visit(), "traffic goes on, app's connection to db is still the same")
    for _ in range(VISITS - 1):
        act.tiers.orders()
    say(f"… {VISITS} visits in all")
    wanted = {("web", "app", APP_PORT), ("app", "db", DB_PORT), (None, "web", 80)}

    def seen() -> set[tuple[str | None, str, int]]:
        found = act.segctl.json("flows")["flows"]
        return {
            (one["source_name"], one["destination_name"], one["destination_port"])
            for one in found
        }

    check(in_time(lambda: wanted <= seen()), "the flows have names at both ends:")
    act.segctl.show("flows", "--limit", "6")


def show_learning(act: Act) -> str:
    chapter("Learn, review, try out")

    def learned() -> bool:
        return between(act.segctl.run("policy", "learned", show=False)) == LEARNED

    check(in_time(learned), "three rules are learned, as many as there should be")
    typed("segctl", "policy", "learned", rest=" >shop.yaml")
    text = act.segctl.run("policy", "learned", show=False) + PROTECT
    typed("echo", PROTECT.strip(), rest=" >>shop.yaml")
    (act.lab.folder / "shop.yaml").write_text(text)
    typed("cat", "shop.yaml")
    print(text.rstrip())
    act.segctl.show(*TRY_OUT, "shop.yaml")
    check(True, "of what was seen, nothing would be denied")
    return text


def show_enforcement(act: Act) -> None:
    chapter("Enforce")
    applied = act.segctl.show("policy", "apply", "-f", "shop.yaml")
    check(" 0 are denied that passed" in applied, "no open flow is cut")
    check(act.visit(), "client is served as before, app's connection lives on")


def show_breach(act: Act) -> None:
    chapter("A breach: web is taken over, and wants the database")
    tiers, segctl = act.tiers, act.segctl
    check(not act.tries("web", tiers.steal), "web cannot read db any more")
    check(
        in_time(lambda: act.is_told("web", "db", DB_PORT)),
        "segctl says so, and why:",
    )
    segctl.show(*DENIALS, "web")
    segctl.show(*MAY_READ, "--expect", "deny")
    check(not act.tries("app", tiers.leak), "nor does app reach the stranger")
    check(
        in_time(lambda: act.is_told("app", "stranger", 80)),
        "which app's denials tell, too:",
    )
    segctl.show_end("show", "app", lines=2)
    check(act.visit(), "client does not notice any of it")


def show_stricter(act: Act, text: str) -> None:
    chapter("A stricter policy, before it does harm")
    typed("sed", "/from: app, to: db/d", "shop.yaml", rest=" >strict.yaml")
    (act.lab.folder / "strict.yaml").write_text(without_db(text))
    segctl = act.segctl
    segctl.show(*TRY_OUT, "strict.yaml", expect=1)
    answer = segctl.json(*TRY_OUT, "strict.yaml", expect=1)
    denied = {
        (case["source"], case["target"], case["service"]) for case in answer["examples"]
    }
    check(
        denied == {("app", "db", f"tcp/{DB_PORT}")},
        "it would cut app off from db, and nothing else; exit code 1",
    )


def show_quarantine(act: Act) -> None:
    chapter("Quarantine")
    act.segctl.show("mode", "app", "quarantine")
    check(not act.visit(), "app is cut off altogether")
    act.segctl.show("mode", "app", "auto")
    check(act.visit(), "lifted: all works, and app's connection has lived through it")


def show_end(act: Act) -> None:
    chapter("Detach")
    act.segctl.show("agent", "stop", "--detach")
    check(act.visit(), "client is served, app's connection is the first one still")
    check(act.tries("web", act.tiers.steal), "and web may read db again")
    for name in TIERS:
        check_given_back(act.tiers.box(name), act.before[name])


def second_act() -> None:
    with Lab("segdemo") as lab:
        lack, docker = lacking(), None
        if not lack:
            try:
                docker = private_docker(lab)
            except UnavailableError as error:
                lack = str(error)
        if docker is None:
            chapter(f"web → app → db is left out: {lack}")
            return
        tiers = Tiers(docker, lab.folder)
        tiers.start()
        act = Act(lab, tiers)
        show_before(act)
        show_attach(act)
        show_discovery(act)
        text = show_learning(act)
        show_enforcement(act)
        show_breach(act)
        show_stricter(act, text)
        show_quarantine(act)
        show_end(act)
