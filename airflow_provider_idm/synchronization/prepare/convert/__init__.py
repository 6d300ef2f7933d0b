"""From the text of a source to canonical values, as expressions of DuckDB's SQL.

Each module holds one idea; each function takes an expression (a source text that is not null) and returns the
expression of its canonical text: NULL if it is not of that kind, and an empty text if it is but stands for no value.
"""

from airflow_provider_idm.synchronization.prepare.convert.conversion import Conversion, conversion_of

__all__ = ["Conversion", "conversion_of"]
