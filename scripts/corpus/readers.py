# Opens documents with openpyxl and python-docx, as Debian has them, and prints a
# line for each: its number, "ok" and what stands in it, or "no" and why not. Of a
# workbook that is every cell with the value that the file keeps for it and its
# number format: what Excel shows, nothing computed anew.
import sys
import warnings

warnings.simplefilter("ignore")


def workbook(path):
    import openpyxl

    book = openpyxl.load_workbook(path, data_only=True, keep_links=False)
    yield from (repr(name) for name in book.sheetnames)
    for sheet in book.worksheets:
        yield repr(sheet.title)
        for row in sheet.iter_rows():
            for cell in row:
                if cell.value is not None:
                    yield f"{cell.coordinate}={cell.value!r}:{cell.number_format}"


def text(path):
    import docx

    document = docx.Document(path)
    for element in document.element.body.iter("{http://schemas.openxmlformats.org/wordprocessingml/2006/main}t"):
        yield element.text or ""


for number, path in enumerate(sys.argv[1:]):
    try:
        with open(path, "rb") as file:  # by no name: they have opinions about endings
            said = "ok " + " ".join(" ".join((workbook if path.lower().endswith(("xlsx", "xlsm", "xltx", "xltm")) else text)(file)).split())
    except Exception as problem:
        said = "no " + " ".join(repr(problem).split())
    print(number, said, flush=True)
