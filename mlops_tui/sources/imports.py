"""Importing SDKs, which several threads must not do at once."""

import importlib
import threading

_ONE_AT_A_TIME = threading.Lock()


def import_sdk(module: str) -> None:
    """Import `module`, so that a plain import statement finds it whole; blocks for up to seconds, so not on the loop.

    Two SDKs that share a dependency and are imported in two threads deadlock on each other's module locks; Python then
    hands out a half-made module (`module 'requests' has no attribute 'exceptions'`).
    """
    with _ONE_AT_A_TIME:
        importlib.import_module(module)
