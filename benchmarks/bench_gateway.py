"""What the gateway costs; see benchmarks/gateway/run.py, which does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    script = Path(__file__).parent / "gateway" / "run.py"
    sys.exit(subprocess.run([sys.executable, str(script), *sys.argv[1:]], check=False).returncode)
