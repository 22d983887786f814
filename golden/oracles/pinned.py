"""Which versions of the libraries answer. Another version is another oracle, so it is refused."""

import importlib.metadata
from pathlib import Path


def check():
    """Raises unless every pin of requirements.txt is what is installed."""
    pins = Path(__file__).with_name("requirements.txt").read_text().splitlines()
    for name, wanted in (pin.split("==") for pin in pins if "==" in pin):
        found = importlib.metadata.version(name)
        if found != wanted:
            raise SystemExit(f"{name} {found} is installed; requirements.txt pins {wanted}")


def words(*names):
    """`name version` of each, for provenance."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
