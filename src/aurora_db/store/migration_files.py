"""Migrations from a text or from a folder of `*.aql` files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aurora_db.aql import migrations, parser, plan, syntax
from aurora_db.base.errors import AqlError, MigrationError, NotFound

#: How the files of a folder are named.
SUFFIX = ".aql"


def gather(source: str | os.PathLike[str], *, dry_run: bool) -> plan.Migrate:
    """The versions of a text, or of all files of a folder in the natural order of their names.

    A file without a `migrate` block is one version, called like the file without its suffix.

    Raises:
        AqlError: a text is refused; of a file, the message names it.
        MigrationError: a version stands in two files, or the folder has no file.
        NotFound: the folder does not exist.
    """
    if not isinstance(source, str) or _is_path(source):
        return _of_folder(Path(source), dry_run=dry_run)
    versions: list[plan.MigrateVersion] = []
    for node in parser.parse(source).definitions:
        if not isinstance(node, syntax.MigrationBlock):
            raise AqlError(
                "a migration is a `migrate` block", hint='write migrate { "v1": { … } }',
                source=source, span=node.span,
            )  # fmt: skip
        block = migrations.block(node, source)
        versions += block.versions
        dry_run = dry_run or block.dry_run
    return plan.Migrate("", _once(versions), dry_run=dry_run)


def _is_path(source: str) -> bool:
    """No text of AQL lacks its braces, and no sensible path has them."""
    return "{" not in source


def _of_folder(folder: Path, *, dry_run: bool) -> plan.Migrate:
    if not folder.is_dir():
        raise NotFound(
            f"no folder '{folder}'", hint="give a folder of *.aql files, or the text of a migration"
        )
    files = sorted(folder.glob("*" + SUFFIX), key=lambda path: migrations.natural(path.name))
    if not files:
        raise MigrationError(
            f"the folder '{folder}' has no *.aql files", hint="name them such as 0001_users.aql"
        )
    versions: list[plan.MigrateVersion] = []
    for path in files:
        try:
            found, dry = migrations.file(path.read_text("utf-8"), path.name, path.stem)
        except AqlError as error:
            error.message = f"{error.message} (in '{path.name}')"
            raise
        except UnicodeDecodeError as error:
            raise MigrationError(f"the file '{path.name}' is not UTF-8 text: {error}") from error
        versions += found
        dry_run = dry_run or dry
    return plan.Migrate("", _once(versions), dry_run=dry_run)


def _once(versions: Sequence[plan.MigrateVersion]) -> tuple[plan.MigrateVersion, ...]:
    seen: dict[str, str | None] = {}
    for one in versions:
        if one.name in seen:
            places = sorted({str(place) for place in (seen[one.name], one.file) if place})
            where = f" (in {' and '.join(places)})" if places else ""
            raise MigrationError(
                f"the version '{one.name}' stands twice{where}", hint="give each its own name"
            )
        seen[one.name] = one.file
    return tuple(versions)
