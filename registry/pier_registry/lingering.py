"""gunicorn's worker with threads, which stay with a connection for a moment after each answer.

Who pulls asks again at once. A thread that is still there answers without the detour over the worker's main loop,
which takes as long as a small answer itself.
"""

from __future__ import annotations

import gc
import select
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

MOMENT: Final = 20  # milliseconds


class Worker(ThreadWorker):  # type: ignore[misc]
    """As long as half of its threads are free, so that nobody waits for a thread that waits for nobody."""

    def load_wsgi(self) -> None:
        """What is there after the start stays, and answers leave few cycles: both need no looking through so often."""
        super().load_wsgi()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)

    def handle(self, conn: Any) -> Any:
        kept = super().handle(conn)
        while kept is True and self.alive and self.nr_conns * 2 <= self.cfg.threads and _comes(conn):
            kept = super().handle(conn)
        return kept


def _comes(conn: Any) -> bool:
    """Whether more of the connection is there to be read; what was read already is the main loop's to find."""
    if conn.parser.unreader.buf.getvalue():
        return False
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    return bool(poll.poll(MOMENT))
