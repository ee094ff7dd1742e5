"""Ports for process groups that start a while later."""

import random
import socket

# Below those that the system hands out by itself: each connection of gloo takes one of them.
PORTS = range(15_000, 32_000)


def free_port() -> int:
    """A port on which nobody listens, and which nobody gets who has not asked for it."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"100 ports in {PORTS} are all in use")
