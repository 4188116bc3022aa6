"""What was found out about trees and files, kept in the cache as JSON."""
import json
import os
import tempfile

from steps import host


def _path(kind, key):
    return host.cache() / "facts" / kind / f"{key}.json"


def load(kind, key):
    """The facts of that key; an empty dict when there are none."""
    path = _path(kind, key)
    try:
        facts = json.loads(path.read_text())
        os.utime(path)
        return facts
    except (OSError, ValueError):
        return {}


def store(kind, key, facts):
    """Keep facts; never half-written."""
    path = _path(kind, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(facts, file)
    os.rename(file.name, path)
