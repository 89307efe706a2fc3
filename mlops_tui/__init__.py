"""Terminal dashboard for ML release operations: is what we approved what is serving?"""

__version__ = "0.1.0"
