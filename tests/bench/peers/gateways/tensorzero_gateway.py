"""Starts TensorZero's gateway out of its Python package, prints where it listens, and runs until it is
told to end.
"""

import signal
import sys

import tensorzero

# What the package itself calls to patch OpenAI's client: the gateway's HTTP server in this process.
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1],
    clickhouse_url=None,
    postgres_url=None,
    valkey_url=None,
    async_setup=False,
)
print(gateway.base_url, flush=True)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.pause()
