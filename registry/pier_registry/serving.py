"""gunicorn as Pier runs it: threads behind the unix socket of the front door, or https of its own with `--direct`."""

from __future__ import annotations

import argparse
import gc
import itertools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from pier_registry import child, direct, logs, preparing
from pier_registry.app import create_app
from pier_registry.errors import PierError
from pier_registry.proxy import configuration
from pier_registry.settings import GRACE, Settings
from pier_registry.web.traffic import Counts

_SILENCE = 120  # seconds without a heartbeat, which does not depend on the length of requests
_KEEPALIVE = 90  # seconds; longer than nginx keeps an idle connection (60), so that nginx is the one to close

WsgiFactory = Callable[[int], Any]


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with options from the settings alone: no file, no command line, no environment of its own."""

    def __init__(self, options: dict[str, Any], application: WsgiFactory) -> None:
        self._options = options
        self._application = application
        self.number = 0  # of the worker, once this is one
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Once in each worker, after the fork: engines and locks are never shared."""
        return self._application(self.number)


def behind_nginx(settings: Settings) -> dict[str, Any]:
    """Options for the unix socket; nginx has bounded lines and headers already, and writes the access log.

    Raises Misconfigured when the socket's path is too long.
    """
    configuration.check_socket(settings)
    return _options(settings) | {
        "bind": [f"unix:{path.absolute()}" for path in (settings.socket, *settings.worker_sockets)],
        "umask": 0o007,
        "limit_request_line": 0,
        "limit_request_fields": 16384,
        "limit_request_field_size": 16384,
    }


def alone(settings: Settings) -> dict[str, Any]:
    """Options for https without nginx."""
    return _options(settings) | {
        "bind": configuration.address(settings.host, settings.port),
        "certfile": str(settings.tls.absolute() / "tls.crt"),
        "keyfile": str(settings.tls.absolute() / "tls.key"),
        "ssl_context": direct.Contexts(),
        "do_handshake_on_connect": True,
        "forwarded_allow_ips": "",
        "accesslog": "-",
        "logger_class": direct.AccessLog,
        "limit_request_line": 8190,
    }


def _options(settings: Settings) -> dict[str, Any]:
    shared_memory = "/dev/shm"  # noqa: S108  gunicorn makes its own private file there
    return {
        "worker_class": "pier_registry.lingering.Worker",
        "workers": settings.workers,
        "threads": settings.threads,
        "timeout": _SILENCE,
        "graceful_timeout": GRACE,
        "keepalive": _KEEPALIVE,
        "worker_tmp_dir": shared_memory if Path(shared_memory).is_dir() else None,
        "forwarder_headers": "",
        "control_socket_disable": True,
        "pre_fork": _number,
        "post_fork": _inherit,
        "post_worker_init": _obey,
        "loglevel": "warning",
        "proc_name": "pier",
    }


def _number(arbiter: Any, worker: Any) -> None:
    """The lowest number that no living worker has: who takes the place of a dead one has its socket and its counts."""
    taken = {known.number for known in arbiter.WORKERS.values()}
    worker.number = next(number for number in itertools.count() if number not in taken)


def _inherit(arbiter: Any, worker: Any) -> None:
    worker.inherited_signals = arbiter.SIG_QUEUE
    arbiter.app.number = worker.number
    shared, *own = worker.sockets
    if own:
        worker.sockets = [shared, *own[worker.number : worker.number + 1]]


def _obey(worker: Any) -> None:
    """A signal between the fork and the worker's own handlers went into its copy of the arbiter's queue."""
    while not worker.inherited_signals.empty():
        if worker.inherited_signals.get() in {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}:
            worker.alive = False


def run(settings: Settings, application: WsgiFactory, *, without_nginx: bool = False) -> None:
    """Serve until SIGTERM; ends the process. `application` is called once in each worker, with its number."""
    settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    if without_nginx:
        Server(alone(settings), lambda number: direct.Application(application(number))).run()
    else:
        Server(behind_nginx(settings), application).run()


def _loaded(settings: Settings, counts_file: int | None, *, without_nginx: bool) -> WsgiFactory:
    """Its modules are imported before the fork, and never looked through for garbage: they are in memory once."""
    counts = Counts(settings.workers, counts_file)
    gc.collect()
    gc.freeze()
    return lambda number: create_app(settings, direct=without_nginx, counts=counts.of_worker(number))


def main() -> int:
    """`python -m pier_registry.serving`: prepare, and serve. A refusal is one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m pier_registry.serving")
    parser.add_argument("--direct", action="store_true", help="serve https without nginx")
    parser.add_argument("--counts", type=int, metavar="FILE", help="a descriptor of memory to count requests in")
    parser.add_argument("--certificate", action="store_true", help="see to the certificate, too")
    told = parser.parse_args()
    logs.to_stderr()
    try:
        settings = Settings.load()
        application = _loaded(settings, told.counts, without_nginx=told.direct)
        if not preparing.in_a_fork(settings, certificate=told.certificate):
            return child.REFUSED
        run(settings, application, without_nginx=told.direct)
    except PierError as wrong:
        print(f"pier serve: {wrong.message}", file=sys.stderr)
        return child.REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
