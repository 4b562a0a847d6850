"""Where a function is found by another process: module and name, and the file that it stands in.

A process that is spawned knows nothing of its parent's memory, so a handler that runs there must be
importable. Whether it is shows when it is registered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, Final

import msgspec

from aurora_db.base.errors import JobError

#: The name under which a child process has the script of its parent, as multiprocessing has it: not
#: `__main__`, so that what stands under `if __name__ == "__main__":` runs in the parent only.
MAIN: Final = "__mp_main__"


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """A function of a module. `file` serves where no import finds the module, as for a script."""

    module: str
    name: str
    file: str | None


def refer(type: str, function: Callable[..., Any]) -> Reference:
    """Where a child process finds the handler of `type`.

    Raises:
        JobError: it finds it nowhere.
    """
    plain: Any = function
    while hasattr(plain, "__wrapped__"):
        plain = plain.__wrapped__
    if not isinstance(plain, FunctionType):
        raise _refused(type, "is no function of a module")
    if "<" in plain.__qualname__:
        where = "a lambda" if plain.__name__ == "<lambda>" else "defined inside another function"
        raise _refused(type, f"is {where}")
    module = sys.modules.get(plain.__module__)
    if module is None:
        raise _refused(type, f"is of a module '{plain.__module__}' that was never imported")
    if module.__name__ == "__main__":
        return _of_main(type, plain, module)
    file: str | None = getattr(module, "__file__", None)
    if file is None and getattr(module, "__spec__", None) is None:
        raise _refused(type, f"is of the module '{module.__name__}', which has no file")
    return Reference(module.__name__, plain.__qualname__, file)


def _of_main(type: str, plain: FunctionType, main: ModuleType) -> Reference:
    """A function of the program itself: of `python -m name`, or of a script."""
    spec = getattr(main, "__spec__", None)
    file: str | None = getattr(main, "__file__", None)
    here = "" if file is None else os.path.realpath(file)
    if not os.path.isfile(here) or os.path.realpath(plain.__code__.co_filename) != here:
        raise _refused(type, "was typed in, and stands in no file")
    if spec is not None:
        return Reference(spec.name, plain.__qualname__, file)
    return Reference(MAIN, plain.__qualname__, here)


def _refused(type: str, what: str) -> JobError:
    return JobError(
        f"the handler of '{type}' {what}, so no child process can import it",
        hint="write it as a def at the top of a module, or leave out process=True",
    )


def find(reference: Reference) -> Any:
    """What stands there, its module imported.

    Raises:
        Exception: whatever the import raises, or `AttributeError`.
    """
    found: Any = _module(reference)
    for part in reference.name.split("."):
        found = getattr(found, part)
    return found


def _module(reference: Reference) -> ModuleType:
    name = reference.module
    if name in sys.modules:
        return sys.modules[name]
    if name != MAIN:
        import importlib  # noqa: PLC0415 - for child processes only

        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if reference.file is None or not (name == missing or name.startswith(missing + ".")):
                raise
    assert reference.file is not None
    return _load(name, reference.file)


def _load(name: str, file: str) -> ModuleType:
    """The module of a file, whatever its suffix."""
    import importlib.machinery  # noqa: PLC0415 - for child processes only
    import importlib.util  # noqa: PLC0415 - the same

    loader = importlib.machinery.SourceFileLoader(name, file)
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if name == MAIN:
        # What looks for the program's own names finds them.
        sys.modules["__main__"] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
