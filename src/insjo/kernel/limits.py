"""Limits that several rooms and doors share; every queue, wait and buffer has one."""

from __future__ import annotations

BODY_BYTES_MAX = 64 * 1024 * 1024
"""Largest body of a request that is not a file upload."""

FILE_BYTES_MAX = 5 * 1024 * 1024 * 1024
"""Largest file in one upload (the Files API of Databricks has the same limit)."""

STATEMENT_CHARS_MAX = 1_000_000
"""Longest SQL text."""

INLINE_RESULT_BYTES_MAX = 25 * 1024 * 1024
"""Largest result that is put into a JSON answer (same limit as the statement execution API)."""

NAME_CHARS_MAX = 255
"""Longest name of a securable."""
