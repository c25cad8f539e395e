import openpyxl
import pytest

from capsmed.data.table import number, read_table
from capsmed.errors import DataError


def write(folder, content: bytes, name: str = "t.csv"):
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    read = read_table(write(tmp_path, b"\xef\xbb\xbfcase_id,label\na,b\n"))
    assert read.columns == ("case_id", "label")


def test_semicolons_and_tabs_are_found_from_the_header(tmp_path):
    semicolon = read_table(write(tmp_path, b"case_id;x\r\na;1,5\r\n"))
    tab = read_table(write(tmp_path, b"case_id\tx\na\t1,5\n", "t.tsv"))
    assert semicolon.rows == tab.rows == ({"case_id": "a", "x": "1,5"},)


def test_rows_carry_the_number_an_editor_shows_and_blank_rows_are_left_out(tmp_path):
    read = read_table(write(tmp_path, b'case_id,note\na,1\n\n,\nb,"two\nlines"\nc,3\n'))
    assert [row["case_id"] for row in read.rows] == ["a", "b", "c"]
    assert read.numbers == (2, 6, 7)


def test_cells_are_trimmed(tmp_path):
    assert read_table(write(tmp_path, b" case_id ,l\n 01 , b \n")).rows == (
        {"case_id": "01", "l": "b"},
    )


def test_another_encoding_is_read_when_named(tmp_path):
    path = write(tmp_path, "case_id,l\né,ü\n".encode("cp1252"))
    assert read_table(path, "cp1252").rows == ({"case_id": "é", "l": "ü"},)


def test_a_wrong_encoding_names_the_row_and_the_setting(tmp_path):
    path = write(tmp_path, b"case_id,l\na,b\n\xe9,c\n")
    with pytest.raises(DataError, match=r"row 3: expected utf-8.*data\.encoding: cp1252"):
        read_table(path)


def test_an_unknown_encoding_is_named(tmp_path):
    with pytest.raises(DataError, match="data.encoding: 'utf-99' is no known encoding"):
        read_table(write(tmp_path, b"a\nb\n"), "utf-99")


def test_numbers_of_a_sheet_become_text_and_keep_shown_zeros(tmp_path):
    book = openpyxl.Workbook()
    for row in (["case_id", "patient_id", "x"], [1, 7, 1.5], ["02", 12.0, None]):
        book.active.append(row)
    book.active["B2"].number_format = "0000"
    book.save(tmp_path / "t.xlsx")
    read = read_table(tmp_path / "t.xlsx")
    assert [tuple(row.values()) for row in read.rows] == [("1", "0007", "1.5"), ("02", "12", "")]
    assert read.numbers == (2, 3)


def test_a_damaged_sheet_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read as an .xlsx file"):
        read_table(write(tmp_path, b"PK\x03\x04 rubbish", "t.xlsx"))


@pytest.mark.parametrize("content", [b"", b"case_id,label\n", b"case_id,label\n,\n\n"])
def test_a_table_without_rows_is_empty(tmp_path, content):
    with pytest.raises(DataError, match="the table is empty"):
        read_table(write(tmp_path, content))


def test_all_rows_with_too_many_cells_are_listed(tmp_path):
    path = write(tmp_path, b"case_id,x\na,1,5\nb,2\nc,3,5,7\n")
    with pytest.raises(DataError, match=r"(?s)decimal comma.*row 2: 3 cells\n  row 4: 4 cells"):
        read_table(path)


def test_a_column_named_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected each column once, got x twice"):
        read_table(write(tmp_path, b"x,x\n1,2\n"))


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a table \(.csv, .tsv, .xlsx\), got '.ods'"):
        read_table(write(tmp_path, b"", "t.ods"))


@pytest.mark.parametrize(
    ("text", "value"), [("1.5", 1.5), ("1,5", 1.5), ("-2e1", -20.0), ("", None), ("1.000,5", None)]
)
def test_a_number_has_a_point_or_a_comma(text, value):
    assert number(text) == value
