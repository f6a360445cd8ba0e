"""What the engine of the workers may print."""

from __future__ import annotations

import logging

from refine.run.worker import hush


def test_a_closed_connection_is_no_news_and_everything_else_is(caplog):
    class CommClosedError(Exception):
        """As the engine calls it."""

    hush()
    hush()
    logger = logging.getLogger("distributed.batched")
    assert len([f for f in logger.filters if getattr(f, "__name__", "") == "_no_news"]) == 1
    with caplog.at_level(logging.INFO, logger="distributed.batched"):
        for error in (CommClosedError(), OSError("disk")):
            try:
                raise error
            except Exception:
                logger.info("closed", exc_info=True)
        logger.info("plain")
    kinds = [record.exc_info[0] if record.exc_info else None for record in caplog.records]
    assert kinds == [OSError, None]
