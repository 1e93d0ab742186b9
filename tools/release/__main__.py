"""The command `python -m tools.release` (`make release`)."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

from tools.command import file_name, run
from tools.image import IMAGE_ERRORS
from tools.layout import ROOT
from tools.release.archives import write_archives
from tools.release.contents import Release, ReleaseError, check_clean, notes, this_release
from tools.release.images import write_images
from tools.release.mip import write_mip
from tools.release.sbom import write_sbom
from tools.release.web import write_web

DIST = ROOT / "dist"
SUMS = "SHA256SUMS"


def build(folder: Path, release: Release) -> None:
    """Build the release into `folder`, in place of what is there. Raises IMAGE_ERRORS."""
    if folder.exists() and any(folder.iterdir()) and not (folder / SUMS).exists():
        raise ReleaseError(f"{folder}: holds something else than a release; nothing was done")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / SUMS).touch()  # marks it as ours, should the rest fail
    write_mip(folder / "mip", release)
    write_images(folder / "images", release)
    write_web(folder / "web", release)
    write_archives(folder, release)
    write_sbom(folder, release)
    (folder / "notes.md").write_text(notes(), "utf-8")
    (folder / SUMS).write_text(sums(folder), "utf-8")


def sums(folder: Path) -> str:
    """What `sha256sum --check` reads: every file but the list itself."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SUMS
    )


def release_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="aliyun-iot release", description="Build what a release consists of."
    )
    parser.add_argument("--output", type=file_name, default=DIST, help="folder [dist]")
    parser.add_argument("--dirty", action="store_true", help="changes need not be committed")
    return parser


def main() -> int:
    """The command: its exit status."""
    options = release_parser().parse_args()

    def work() -> int:
        if not options.dirty:
            check_clean()
        release = this_release()
        build(options.output, release)
        files = [path for path in options.output.rglob("*") if path.is_file()]
        print(f"aliyun_iot {release.version}: {len(files)} files in {options.output}")
        return 0

    return run(work, ReleaseError, *IMAGE_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
