"""Writes every small vocabulary into the folder named on the command line."""

import sys
from pathlib import Path

import pinned
import train_bpe
import train_spm

pinned.check()
folder = Path(sys.argv[1])
train_bpe.write(folder)
train_spm.write(folder)
