"""A workbook, opened by what it really is (xlsx or xls): its sheets, and their rows as text, one after another."""

from __future__ import annotations

import io
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import SourceFileError
from airflow_provider_idm.synchronization.export.excel_formulas import find_uncalculated
from airflow_provider_idm.synchronization.export.excel_values import CellError, cell_text

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_EXCEL_DAY_ZERO: Final = 1.0
"""Below it a moment in an xls file is a time of day."""


class Workbook(ABC):
    """An open workbook.

    :ivar sheets: names of its worksheets, in their order.
    """

    sheets: tuple[str, ...]

    def __init__(self, path: Path, book: Any) -> None:
        self._path = path
        self._book = book

    def rows(self, index: int) -> Iterator[list[str | CellError]]:
        """Give all rows of a sheet from the first on, empty ones too; each may be of another length.

        :raises SourceFileError: naming the sheet, if it is broken.
        """
        row = 0
        try:
            for cells in self._rows(index):
                row += 1
                yield [_text(value, number_format) for value, number_format in cells]
        except Exception as error:  # whatever a library raises of a broken file
            logger.debug("%s", self._path, exc_info=True)  # the library's message may repeat values
            after = f" after row {row}" if row else ""
            raise SourceFileError(
                f"{self._path}: sheet {self.sheets[index]!r} cannot be read{after} ({type(error).__name__}). "
                "Open the workbook in Excel and save it again"
            ) from None

    @abstractmethod
    def _rows(self, index: int) -> Iterator[Iterable[tuple[object, str]]]:
        """Give the values and number formats of each row."""


class _Xlsx(Workbook):
    def __init__(self, path: Path, book: Any) -> None:
        super().__init__(path, book)
        self.sheets = tuple(sheet.title for sheet in book.worksheets)

    def _rows(self, index: int) -> Iterator[Iterable[tuple[object, str]]]:
        sheet = self._book.worksheets[index]
        sheet.reset_dimensions()  # some programs write wrong ones
        bare = find_uncalculated(self._path, sheet.title)
        for row, cells in enumerate(sheet.iter_rows(), 1):
            values = map(self._value, cells)
            yield self._with_uncalculated(row, values, bare) if bare else values

    @staticmethod
    def _value(cell: Any) -> tuple[object, str]:
        value = cell.value
        if value is None:
            return None, ""
        if cell.data_type == "e":
            return CellError(f"the error {value}"), ""
        return value, cell.number_format if cell.data_type == "n" else ""

    @staticmethod
    def _with_uncalculated(
        row: int, values: Iterable[tuple[object, str]], bare: Container[tuple[int, int]]
    ) -> Iterator[tuple[object, str]]:
        for column, value in enumerate(values, 1):
            is_bare = value[0] is None and (row, column) in bare
            yield (CellError("a formula that was never calculated"), "") if is_bare else value


class _Xls(Workbook):
    def __init__(self, path: Path, book: Any) -> None:
        super().__init__(path, book)
        self.sheets = tuple(book.sheet_names())

    def _rows(self, index: int) -> Iterator[Iterable[tuple[object, str]]]:
        sheet = self._book.sheet_by_index(index)
        for row in range(sheet.nrows):
            yield map(self._value, sheet.row(row))

    def _value(self, cell: Any) -> tuple[object, str]:
        import xlrd  # noqa: PLC0415 - of an extra

        value: object = cell.value
        if cell.ctype == xlrd.XL_CELL_NUMBER:
            style = self._book.xf_list[cell.xf_index]
            return value, self._book.format_map[style.format_key].format_str
        if cell.ctype == xlrd.XL_CELL_DATE:
            value = self._moment(cell.value)
        elif cell.ctype == xlrd.XL_CELL_BOOLEAN:
            value = bool(value)
        elif cell.ctype == xlrd.XL_CELL_ERROR:
            value = CellError(f"the error {xlrd.error_text_from_code.get(cell.value, cell.value)}")
        return value, ""

    def _moment(self, number: float) -> object:
        import xlrd  # noqa: PLC0415 - of an extra

        try:
            moment = xlrd.xldate_as_datetime(number, self._book.datemode)
        except (xlrd.xldate.XLDateError, OverflowError, ValueError):
            return CellError("a number shown as a date that is none")
        return moment.time() if 0 <= number < _EXCEL_DAY_ZERO else moment


@contextmanager
def open_workbook(path: Path) -> Iterator[Workbook]:
    """Open a workbook; what it is, its content tells, not its name.

    :raises ImportError: if the library that reads such workbooks is not installed.
    :raises SourceFileError: if it is no workbook, is broken, or protected by a password.
    """
    open_ = _open_xlsx if _is_xlsx(path) else _open_xls
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of styles and validations that are not read
        try:
            workbook = open_(path, stack)
        except (ImportError, OSError):
            raise
        except Exception as error:  # whatever a library raises of a broken file
            if "encrypted" in str(error).casefold():
                raise _protected(path) from None
            raise SourceFileError(
                f"{path} cannot be read as an Excel workbook: {type(error).__name__}: {error}. Open it in Excel and "
                "save it again as xlsx"
            ) from error
        yield workbook


def _open_xlsx(path: Path, stack: ExitStack) -> Workbook:
    import openpyxl  # noqa: PLC0415 - of an extra

    # without its name, for openpyxl refuses one that does not end as it should
    file = stack.enter_context(path.open("rb"))
    book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    stack.callback(book.close)
    return _Xlsx(path, book)


def _open_xls(path: Path, stack: ExitStack) -> Workbook:
    import xlrd  # noqa: PLC0415 - of an extra

    log = stack.enter_context(io.StringIO())
    book = xlrd.open_workbook(path, logfile=log, on_demand=True, formatting_info=True)
    stack.callback(book.release_resources)
    return _Xls(path, book)


def _is_xlsx(path: Path) -> bool:
    with path.open("rb") as file:
        data = file.read(len(_OLE))
    if data.startswith(_ZIP):
        return True
    if data != _OLE:
        raise SourceFileError(
            f"{path} is no Excel workbook (xlsx or xls), whatever its name; expected one, or a connection of the "
            "package Usercube.CSV"
        )
    if _ENCRYPTED in path.read_bytes():
        raise _protected(path)
    return False


def _protected(path: Path) -> SourceFileError:
    return SourceFileError(
        f"{path} is protected by a password, and cannot be read; expected a workbook without one. Save it without, or "
        "let its permissions protect it"
    )


def _text(value: object, number_format: str) -> str | CellError:
    try:
        return value if isinstance(value, CellError) else cell_text(value, number_format)
    except CellError as error:
        return error


def cell_name(row: int, column: int) -> str:
    """Return what a workbook calls a cell, both numbers from 1: the first one is A1."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"
