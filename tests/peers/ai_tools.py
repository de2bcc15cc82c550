"""Calls the EXAI tools with the official Python SDK, which refuses answers that do not fit the tools' output schemas.

    python ai_tools.py EXAI

EXAI_HOME names a state directory with all tools switched on and one provider. Prints the status of each answer.
"""

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import get_default_environment, stdio_client

STEP = {"step": "find it", "step_number": 1, "total_steps": 2, "findings": "f"}
MORE = {**STEP, "next_step_required": True}
LAST = {**STEP, "next_step_required": False}
TRACE = {"trace_mode": "precision", "target_description": "t"}
DOC = {"num_files_documented": 0, "total_files_to_document": 1}
MODELS = {"models": [{"model": "m", "stance": "for"}, {"model": "nobody", "stance": "against"}]}
WORKFLOWS = ["thinkdeep", "debug", "codereview", "analyze", "precommit", "refactor", "testgen", "secaudit"]
CALLS = [
    *[(name, arguments) for name in WORKFLOWS for arguments in (MORE, LAST, {**LAST, "confidence": "certain"}, {}, {**LAST, "model": "nobody"})],
    ("chat", {"prompt": "x"}), ("chat", {"prompt": "x", "files": ["/no/such/file"]}), ("chat", {"prompt": "x" * 70_000}),
    ("chat", {"prompt": "x", "continuation_id": "none"}), ("chat", {}), ("chat", {"prompt": "x", "model": "client"}),
    ("planner", MORE), ("planner", LAST), ("planner", {}), ("consensus", {**LAST, **MODELS}), ("consensus", LAST),
    ("consensus", {**LAST, "models": [{"model": "nobody", "stance": "for"}]}), ("listmodels", {}), ("status", {}), ("status", {"probe": True}),
    ("more", {"reference": "none"}), ("more", {}), ("tracer", {**MORE, **TRACE}), ("tracer", {**LAST, **TRACE}),
    ("docgen", {**MORE, **DOC}), ("docgen", {**LAST, **DOC}), ("challenge", {"prompt": "x"}), ("challenge", {}), ("threads", {}),
    ("threads", {"continuation_id": "none"}), ("clink", {}), ("clink", {"prompt": "x", "cli_name": "nobody"}),
]


async def main(exai):
    environment = {**get_default_environment(), "EXAI_HOME": os.environ["EXAI_HOME"]}
    server = StdioServerParameters(command=exai, args=["tools-server"], env=environment)
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        await session.list_tools()
        wrong = 0
        for name, arguments in CALLS:
            try:
                result = await session.call_tool(name, arguments)
                print(name, result.structuredContent["status"])
            except Exception as error:  # the SDK has one kind for all
                wrong += 1
                print(name, str(arguments)[:100], "WRONG:", str(error)[:300])
        return wrong


sys.exit(asyncio.run(main(sys.argv[1])) > 0)
