"""Every measurement behind a figure that the README or a note gives: ``make bench`` runs them all, one after another.

    python -m benchmarks [NAME …]

Each is a module of its own with a ``main()``; a name picks some of them. Ratios against a peer in the same run are the
figures to quote: the absolute times are this machine's, on this day.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time

import benchmarks


def main() -> None:
    known = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    wanted = sys.argv[1:] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"no benchmark {unknown[0]!r}; there are: {', '.join(known)}")
    for name in wanted:
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        sys.argv = [f"benchmarks.{name}"]
        importlib.import_module(f"benchmarks.{name}").main()
        print(f"({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
