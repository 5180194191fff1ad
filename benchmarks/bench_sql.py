"""What SQL costs; see benchmarks/sql/run.py, which does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).parent.parent
    sys.exit(subprocess.run([sys.executable, "-m", "benchmarks.sql.run", *sys.argv[1:]], check=False, cwd=root).returncode)
