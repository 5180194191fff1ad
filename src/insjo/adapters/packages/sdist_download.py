"""Child process: save a source archive as it is published, without building it.

`pip download` runs the build code of a source archive to learn its metadata.  We want its bytes only, so this asks pip where the archive
lies (with all of the person's own pip configuration: index, proxy, certificates) and saves it.  These are pip's internals, which may
change; then this fails, and the caller says to install the package instead.

Usage: `python -m insjo.adapters.packages.sdist_download PROJECT VERSION FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

CHUNK_BYTES = 1 << 20
ARCHIVE_BYTES_MAX = 256 * 1024 * 1024


def save(project: str, version: str, folder: Path) -> Path:
    """Save the source archive of that version into a folder; LookupError when the index has none."""
    from pip._internal.commands.download import DownloadCommand
    from pip._vendor.packaging.specifiers import SpecifierSet

    command = DownloadCommand("download", "")
    options, _ = command.parse_args(["--no-deps", "--no-binary", ":all:", "--disable-pip-version-check", project])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)  # noqa: SLF001  # pip offers no public way to ask where an archive lies.
        best = finder.find_best_candidate(project, SpecifierSet(f"=={version}")).best_candidate
        if best is None or best.link.is_wheel:
            message = f"no source archive of {project} {version}"
            raise LookupError(message)
        target = folder / Path(best.link.filename).name
        answer = session.get(best.link.url_without_fragment, stream=True)
        answer.raise_for_status()
        written = 0
        with target.open("wb") as file:
            for chunk in answer.iter_content(CHUNK_BYTES):
                written += len(chunk)
                if written > ARCHIVE_BYTES_MAX:
                    message = f"the archive of {project} is larger than {ARCHIVE_BYTES_MAX} bytes"
                    raise LookupError(message)
                file.write(chunk)
    return target


if __name__ == "__main__":
    save(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
