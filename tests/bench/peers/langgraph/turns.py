"""Turns of LangGraph: what `nexus-bench turns` measures of Nexus, with the same kind of store.

A turn opens a thread of its own. Without a tool it is one model node that answers at once; with one
it is model, tool, model. Prints one JSON line.
"""

import argparse
import asyncio
import json
import multiprocessing
import time
import uuid
from contextlib import asynccontextmanager

import aiosqlite
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

# Shares of the measured time that are spent before it, to warm up.
WARM_UP = 0.2


@tool
def multiply(left: int, right: int) -> str:
    """Multiplies two numbers."""
    return str(left * right)


async def talk(_state: MessagesState):
    return {"messages": [AIMessage("Hello! What can I do for you?")]}


async def calculate(state: MessagesState):
    last = state["messages"][-1]
    if isinstance(last, ToolMessage):
        return {"messages": [AIMessage(f"37 * 43 = {last.content}")]}
    call = {"name": "multiply", "args": {"left": 37, "right": 43}, "id": uuid.uuid4().hex}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def graph(with_tool, saver):
    builder = StateGraph(MessagesState)
    builder.add_node("model", calculate if with_tool else talk)
    builder.add_edge(START, "model")
    if with_tool:
        builder.add_node("tools", ToolNode([multiply]))
        builder.add_conditional_edges("model", tools_condition)
        builder.add_edge("tools", "model")
    return builder.compile(checkpointer=saver)


@asynccontextmanager
async def savers(options):
    if options.store == "sqlite":
        async with aiosqlite.connect(options.url) as connection:
            saver = AsyncSqliteSaver(connection)
            await saver.setup()
            # Its default (FULL) syncs every commit; this is what Nexus promises by default.
            await connection.execute("PRAGMA synchronous=NORMAL")
            yield [saver]
        return
    size = max(options.pool // options.processes, 1)
    # As its documentation asks for.
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool = AsyncConnectionPool(
        options.url, min_size=size, max_size=size, kwargs=settings, open=False, timeout=120
    )
    async with pool:
        # A saver lets one statement through at a time, whatever the pool: several of them use it.
        yield [AsyncPostgresSaver(pool) for _ in range(options.savers)]


async def ask(graphs, options, until, times):
    question = "What is 37 * 43?" if options.tool else "hello"
    turn = 0
    while time.monotonic() < until:
        config = {"configurable": {"thread_id": uuid.uuid4().hex}}
        chosen = graphs[turn % len(graphs)]
        turn += 1
        started = time.perf_counter()
        answer = await chosen.ainvoke(
            {"messages": [HumanMessage(question)]}, config, durability=options.durability
        )
        times.append(time.perf_counter() - started)
        if options.tool and answer["messages"][-1].content != "37 * 43 = 1591":
            raise RuntimeError(f"a wrong answer: {answer['messages'][-1]}")


async def work(options, in_flight, barrier):
    async with savers(options) as all_savers:
        graphs = [graph(options.tool, saver) for saver in all_savers]

        async def run(seconds):
            times, started = [], time.monotonic()
            lanes = [graphs[lane % len(graphs) :] + graphs[: lane % len(graphs)] for lane in range(in_flight)]
            until = started + seconds
            await asyncio.gather(*(ask(lane, options, until, times) for lane in lanes))
            return times, started, time.monotonic()

        await run(options.seconds * WARM_UP)
        await asyncio.to_thread(barrier.wait)
        return await run(options.seconds)


def child(options, in_flight, barrier, results):
    try:
        results.put(asyncio.run(work(options, in_flight, barrier)))
    except BaseException as error:
        results.put(error)
        barrier.abort()
        raise


async def set_up(options):
    """Makes the tables once, before several processes want them."""
    if options.store == "postgres":
        async with AsyncPostgresSaver.from_conn_string(options.url) as saver:
            await saver.setup()


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgres"], required=True)
    parser.add_argument("--url", required=True, help="a file, or the address of a database")
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--tool", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--savers", type=int, default=1, help="per process, on one pool")
    parser.add_argument("--pool", type=int, default=20, help="connections of all processes")
    parser.add_argument("--durability", choices=["sync", "async", "exit"], default="async")
    return parser.parse_args()


def main():
    options = parse()
    asyncio.run(set_up(options))
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(options.processes), context.Queue()
    shares = [
        options.in_flight // options.processes + (at < options.in_flight % options.processes)
        for at in range(options.processes)
    ]
    children = [
        context.Process(target=child, args=(options, share, barrier, results), daemon=True)
        for share in shares
    ]
    for process in children:
        process.start()
    ran = [results.get() for _ in children]
    for part in ran:
        if isinstance(part, BaseException):
            raise part
    for process in children:
        process.join()
    times = sorted(one for part, _, _ in ran for one in part)
    elapsed = max(end for _, _, end in ran) - min(start for _, start, _ in ran)
    at = lambda share: round(times[min(int(len(times) * share), len(times) - 1)] * 1000, 3)
    print(
        json.dumps(
            {
                "turns": len(times),
                "turns_per_second": round(len(times) / elapsed, 3),
                "p50_ms": at(0.5),
                "p99_ms": at(0.99),
            }
        )
    )


if __name__ == "__main__":
    main()
