#!/usr/bin/python3
"""Renews what is made from the installed headers: new rows of symbols.tsv, shapes-1.0.txt, docs/reference.

Usage: python3 capi/abi/update_symbols.py [oci.h ...]   (all headers without an argument)
Rows are never removed or changed here: the life of a symbol is a decision, not a diff.
"""

import sys

import abi

if __name__ == "__main__":
    abi.update(sys.argv[1:] or abi.headers())
