"""An ssh server on loopback, where there is no sshd: what it is asked to run, it has the shell run.

usage: ssh_server.py HOST_KEY AUTHORIZED_KEYS

Prints its port. Ends when its stdin ends.
"""

import asyncio
import os
import subprocess
import sys

import asyncssh

# What both directions of a connection end with that breaks.
BROKEN = (OSError, asyncssh.Error)


async def run(session: asyncssh.SSHServerProcess) -> None:
    """As sshd does: the program has a session of its own, and its stdin ends when the connection does."""
    program = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", session.command or "true",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=os.path.expanduser("~"), start_new_session=True,
    )
    feeding = asyncio.create_task(pump(session.stdin, program.stdin))
    await asyncio.gather(pump(program.stdout, session.stdout), pump(program.stderr, session.stderr))
    status = await program.wait()
    feeding.cancel()
    session.exit(status if status >= 0 else 255)


async def pump(source, sink) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except BROKEN:
        pass
    finally:
        if isinstance(sink, asyncio.StreamWriter):
            sink.close()


async def main() -> None:
    server = await asyncssh.listen(
        "127.0.0.1", 0,
        server_host_keys=[sys.argv[1]], authorized_client_keys=sys.argv[2],
        process_factory=run, encoding=None,
    )
    print(server.get_port(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
