"""Which versions of the libraries answer. Another version is another oracle, so it is refused."""

import importlib.metadata
from pathlib import Path


def check(*others):
    """Raises unless every pin of requirements.txt, or of the files named, is what is installed."""
    for file in others or ["requirements.txt"]:
        pins = Path(__file__).with_name(file).read_text().splitlines()
        for name, wanted in (pin.split("==") for pin in pins if "==" in pin):
            # A build's own word, as in 2.10.0+cpu, changes no version.
            found = importlib.metadata.version(name).split("+")[0]
            if found != wanted:
                raise SystemExit(f"{name} {found} is installed; {file} pins {wanted}")


def words(*names):
    """`name version` of each, for provenance."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
