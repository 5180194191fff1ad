"""What loading files costs; see benchmarks/ingest/run.py, which does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    script = Path(__file__).parent / "ingest" / "run.py"
    sys.exit(subprocess.run([sys.executable, str(script), *sys.argv[1:]], check=False).returncode)
