# Opens documents with openpyxl, python-docx and odfpy, as Debian has them, and prints a
# line for each: its number, "ok" and what stands in it, or "no" and why not. Of a
# workbook that is every cell with the value that the file keeps for it and its
# number format, or in OpenDocument its words: what Excel shows, nothing computed
# anew. OpenDocument has no value that is an error: one is shown only by a formula,
# so of such a cell it counts as well whether it has one.
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


def opendocument(path):
    from odf import opendocument, teletype
    from odf.namespaces import OFFICENS, TABLENS, TEXTNS

    calcext = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
    document = opendocument.load(path)

    def inside(element, *names):
        return [e for e in element.childNodes if getattr(e, "qname", None) in names]

    def rows(element):
        for e in inside(element, *((TABLENS, n) for n in ("table-row", "table-rows", "table-header-rows", "table-row-group"))):
            if e.qname[1] == "table-row":
                yield e
            else:
                yield from rows(e)

    def many(element, name):
        return int(element.attributes.get((TABLENS, name), 1))

    for sheet in inside(document.body, (OFFICENS, "spreadsheet")):
        for table in inside(sheet, (TABLENS, "table")):
            name = table.attributes.get((TABLENS, "name"), "")
            if name.startswith("'") and "'#" in name:
                continue  # what LibreOffice remembers of another document; nobody sees it
            yield repr(name)
            row = 0
            for r in rows(table):
                column = 0
                for cell in inside(r, (TABLENS, "table-cell"), (TABLENS, "covered-table-cell")):
                    get = lambda *n: cell.attributes.get(n, "")
                    kind = get(OFFICENS, "value-type")
                    words = "/".join(teletype.extractText(p) for p in inside(cell, (TEXTNS, "p")))
                    value = ";".join(get(OFFICENS, n) for n in ("value", "string-value", "boolean-value", "date-value", "time-value"))
                    shown = kind == "float" and get(OFFICENS, "value") == "0" and words.startswith("#") or get(calcext, "value-type") == "error"
                    if kind or words:
                        yield f"{row}+{many(r, 'number-rows-repeated')}:{column}+{many(cell, 'number-columns-repeated')}={kind}:{value}:{words!r}:{bool(get(TABLENS, 'formula')) if shown else ''}"
                    column += many(cell, "number-columns-repeated")
                row += many(r, "number-rows-repeated")
        return
    for p in all_of(document.body, (TEXTNS, "p"), (TEXTNS, "h")):
        yield teletype.extractText(p)


def all_of(element, *names):
    for e in element.childNodes:
        if getattr(e, "qname", None) in names:
            yield e
        elif getattr(e, "childNodes", None):
            yield from all_of(e, *names)


def reader(path):
    end = path.lower().rsplit(".", 1)[-1]
    if end in ("xlsx", "xlsm", "xltx", "xltm"):
        return workbook
    return opendocument if end in ("ods", "ots", "odt", "ott", "odp", "otp", "odg", "otg") else text


for number, path in enumerate(sys.argv[1:]):
    try:
        with open(path, "rb") as file:  # by no name: they have opinions about endings
            said = "ok " + " ".join(" ".join(reader(path)(file)).split())
    except Exception as problem:
        said = "no " + " ".join(repr(problem).split())
    print(number, said, flush=True)
