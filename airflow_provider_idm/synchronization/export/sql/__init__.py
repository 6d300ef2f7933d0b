"""Queries and tables of a database, as source files."""

from __future__ import annotations
