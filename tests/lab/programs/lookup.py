"""Looks up names with a resolver that a Python program brings along, and prints the results as lookup.c does.
Usage: lookup.py RESOLVER STAGGER NAME...  where RESOLVER is the name of a function below."""

import asyncio
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

DEADLINE_SECONDS = 4


def report(name, began, addresses, error):
    microseconds = int((time.monotonic() - began) * 1e6)
    line = json.dumps({"name": name, "microseconds": microseconds, "error": error, "addresses": addresses})
    # One write for each line, as threads print at the same time.
    sys.stdout.write(line + "\n")


def timed(look_up, name):
    began = time.monotonic()
    try:
        addresses, error = look_up(name), None
    except Exception as failure:
        addresses, error = [], f"{type(failure).__name__}: {failure}"
    report(name, began, addresses, error)


def on_threads(look_up, stagger, names):
    threads = [threading.Thread(target=timed, args=(look_up, name)) for name in names]
    for thread in threads:
        thread.start()
        time.sleep(stagger)
    for thread in threads:
        thread.join()


def dnspython(stagger, names):
    import dns.resolver

    def look_up(name):
        # A resolver of its own reads resolv.conf anew, as a process does that starts.
        return [found.address for found in dns.resolver.Resolver().resolve(name, "A")]

    on_threads(look_up, stagger, names)


def eventlet(stagger, names):
    import warnings

    # eventlet says at each start that it is deprecated.
    warnings.simplefilter("ignore")
    import eventlet
    from eventlet.support import greendns

    def look_up(name):
        return [found[4][0] for found in greendns.getaddrinfo(name, 80, type=greendns.socket.SOCK_STREAM)]

    def started(name):
        thread = eventlet.spawn(timed, look_up, name)
        eventlet.sleep(stagger)
        return thread

    for thread in [started(name) for name in names]:
        thread.wait()


def aiodns(stagger, names):
    import socket

    from aiodns import DNSResolver

    async def look_up(name):
        began = time.monotonic()
        try:
            # A channel of its own, without the latencies that earlier lookups measured.
            resolver = DNSResolver()
            found = await resolver.getaddrinfo(name, socket.AF_UNSPEC, 80, socket.IPPROTO_TCP, socket.SOCK_STREAM)
            addresses, error = [node.addr[0].decode() for node in found.nodes], None
            await resolver.close()
        except Exception as failure:
            addresses, error = [], f"{type(failure).__name__}: {failure}"
        report(name, began, addresses, error)

    async def every():
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(look_up(name)))
            await asyncio.sleep(stagger)
        await asyncio.gather(*tasks)

    asyncio.run(every())


def grpc(stagger, names):
    """A call with a deadline. The addresses that it finds lead nowhere, so it fails with their list as soon as it has them."""
    os.environ["GRPC_DNS_RESOLVER"] = "ares"
    os.environ["GRPC_VERBOSITY"] = "NONE"
    import re

    import grpc

    def look_up(name):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(f"dns:///{name}:80", options=options) as channel:
            try:
                channel.unary_unary("/lab/Call")(b"", timeout=DEADLINE_SECONDS)
            except grpc.RpcError as failure:
                details = f"{failure.code()} {failure.details()} {failure.debug_error_string()}"
                return found(details)
        raise RuntimeError("something answered the call")

    def found(details):
        v4 = re.findall(r"ipv4:(?:%3A)?([0-9.]+):80", details)
        v6 = re.findall(r"ipv6:(?:%5B|\[)([0-9a-f:]+)(?:%5D|\]):80", details)
        if not v4 and not v6:
            raise RuntimeError(details)
        return sorted({*v4, *v6})

    on_threads(look_up, stagger, names)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: lookup.py RESOLVER STAGGER NAME...")
    {"dnspython": dnspython, "eventlet": eventlet, "aiodns": aiodns, "grpc": grpc}[sys.argv[1]](
        int(sys.argv[2]) / 1e6, sys.argv[3:]
    )
