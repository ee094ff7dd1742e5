"""Records that the package wrote as JSON, read back through one schema: a dataclass whose fields are the record's."""

import json
from pathlib import Path
from typing import Any

from tokenformer.config.building import build, unknown_keys
from tokenformer.errors import UserError

_REMEDY = "restore the file that tokenformer wrote, or move it away"


def read_json(path: Path, remedy: str = _REMEDY) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: it is not there, is no UTF-8 or no JSON; names the place and the remedy.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except json.JSONDecodeError as error:
        fault = f"is not valid JSON (line {error.lineno}: {error.msg})"
    except UnicodeDecodeError as error:
        fault = f"is not valid UTF-8 (byte {error.start})"
    except RecursionError:
        fault = "is not valid JSON (too deeply nested)"
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    raise UserError(f"{path} {fault}: {remedy}")


def read_record(path: Path, schema: type, remedy: str = _REMEDY) -> Any:
    """A record, made of a JSON file by a dataclass; raises as `read_json` and `record_of`."""
    return record_of(read_json(path, remedy), schema, path, remedy)


def record_of(content: Any, schema: type, path: Path, remedy: str = _REMEDY) -> Any:
    """A record, made of the content of a JSON file by a dataclass.

    Raises:
        UserError: a field is missing, of a wrong type, or not known; names file, field and remedy. A field that is not
            known is one of a newer version.
    """
    unknown = list(unknown_keys(content, schema, ""))
    if unknown:
        raise UserError(
            f"{path}: {'; '.join(unknown)}. A newer version of tokenformer may have written it: update this one, or "
            f"{remedy}"
        )
    try:
        return build(content, schema, "", str(path))
    except (UserError, TypeError, AttributeError) as error:
        fault = error if isinstance(error, UserError) else f"{path}: {type(error).__name__}: {error}"
        raise UserError(f"{fault}. The record is damaged: {remedy}") from error
