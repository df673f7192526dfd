"""kill -9 at random moments under load, as often as asked for: chaos.py KILLS [SEED]. Run by `make chaos`."""

import os
import sys

from stress import chaos

kills = int(sys.argv[1]) if len(sys.argv) > 1 else 300
seed = int(sys.argv[2]) if len(sys.argv) > 2 else int.from_bytes(os.urandom(4), "big")
print(f"chaos: {kills} kills, seed {seed}", flush=True)
faults, told = chaos(kills, seed)
print(told)
print("\n".join(faults) or "nothing was lost, nothing ran twice")
sys.exit(1 if faults else 0)
