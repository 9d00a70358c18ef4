# Compares the text of mails before and after treatment, as Python's email
# package reads both. Standard input: one line a mail, "source<TAB>treated".
# Standard output: one line for every text that is not there afterwards,
# "name<TAB>part<TAB>why<TAB>expected<TAB>nearest", then "texts<TAB>N".
import difflib, email, email.policy, re, sys

ALIASES = {
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932", "ms_kanji": "cp932", "windows-31j": "cp932", "ms932": "cp932",
    "cswindows31j": "cp932", "csshiftjis": "cp932",
}
# Where Python's tables of JIS and of Windows differ, Windows' characters.
WINDOWS = str.maketrans({0x301C: 0xFF5E, 0x2016: 0x2225, 0x2212: 0xFF0D, 0x00A2: 0xFFE0, 0x00A3: 0xFFE1, 0x00AC: 0xFFE2, 0x2014: 0x2015})


def jis(data):
    """ISO-2022-JP with NEC's and IBM's characters: as CP932 where Python's own table stops."""
    try:
        return data.decode("iso2022_jp_ext").translate(WINDOWS)
    except UnicodeDecodeError:
        pass

    def sjis(m):
        out = bytearray()
        for j, k in zip(m.group(1)[::2], m.group(1)[1::2]):
            out += bytes([(j + 1) // 2 + (112 if j < 95 else 176), k + (31 + k // 96 if j % 2 else 126)])
        return bytes(out)

    data = re.sub(rb"\x1b\$[@B](.*?)(?=\x1b|$)", sjis, data, flags=re.S)
    data = re.sub(rb"\x1b\(I(.*?)(?=\x1b|$)", lambda m: bytes(c | 0x80 for c in m.group(1)), data, flags=re.S)
    return re.sub(rb"\x1b\([BJ]", b"", data).decode("cp932")


def decode(data, label):
    label = (label or "us-ascii").strip().strip("\"'").lower()
    if label.startswith("iso-2022-jp"):
        return jis(data)
    return data.decode(ALIASES.get(label, label))


def normal(s):
    """Line ends, white space at the ends of lines and text, the byte order mark: what no reader sees."""
    s = s.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    # Controls are dropped, and what turns the direction of text.
    s = re.sub("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", s)
    return "\n".join(l.rstrip(" \t") for l in s.split("\n")).strip("\n")


def leaves(m, path=""):
    if m.is_multipart():
        for i, p in enumerate(m.get_payload()):
            yield from leaves(p, f"{path}.{i + 1}" if path else str(i + 1))
    else:
        yield path or "1", m


def read(name):
    with open(name, "rb") as f:
        raw = f.read()
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    return email.message_from_bytes(raw)


def texts(m):
    for path, p in leaves(m):
        if p.get_content_type() != "text/plain" or p.get_filename() or p.get_content_disposition() == "attachment":
            continue
        yield path, p


def main():
    n = 0
    for line in sys.stdin:
        src, out = line.rstrip("\n").split("\t")
        short = src.rsplit("/", 1)[-1]
        have = []
        for _, p in texts(read(out)):
            have.append(normal((p.get_payload(decode=True) or b"").decode("utf-8")))
        for path, p in texts(read(src)):
            n += 1
            data = p.get_payload(decode=True) or b""
            try:
                want = normal(decode(data, p.get_content_charset()))
            except (UnicodeDecodeError, LookupError) as e:
                print(short, path, "Python: " + type(e).__name__, ascii(str(e))[:80], "", sep="\t")
                continue
            if want in have or not want:
                continue
            near = max(have, key=lambda h: difflib.SequenceMatcher(None, want[:400], h[:400]).quick_ratio(), default="")
            i = next((i for i, (a, b) in enumerate(zip(want, near)) if a != b), min(len(want), len(near)))
            why = "flowed" if p.get_param("format") == "flowed" else "differs"
            print(short, path, why, ascii(want[max(0, i - 10):i + 40]), ascii(near[max(0, i - 10):i + 40]), sep="\t")
    print("texts", n, sep="\t")


main()
