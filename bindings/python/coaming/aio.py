"""The same calls for asyncio: the event loop watches the job's descriptor, no thread pool is used.

    image = await aio.run(oci.pull_job(ctx, "docker://quay.io/org/app:1"))
"""
from __future__ import annotations

import asyncio
from typing import Any

from coaming._core import Job


async def run(job: Job) -> Any:
    """Waits for `job` in the running loop. Cancelling the task cancels the call."""
    loop = asyncio.get_running_loop()
    done: "asyncio.Future[None]" = loop.create_future()

    def readable() -> None:
        try:
            if job.dispatch() and not done.done():
                done.set_result(None)
        except BaseException as error:  # a fault in dispatch ends the wait
            if not done.done():
                done.set_exception(error)

    loop.add_reader(job.fileno(), readable)
    try:
        await done
    except asyncio.CancelledError:
        job.cancel()
        raise
    finally:
        loop.remove_reader(job.fileno())
    return job.result()
