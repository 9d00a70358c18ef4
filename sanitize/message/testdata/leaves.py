# Reads mails from standard input, each behind its length in decimal and a line
# end, and answers each with one line of JSON: the leaves as Python's email
# package sees them, [[media type, file name, SHA-256 of the decoded content]].
import email, hashlib, json, sys


def leaves(m):
    if m.get_content_type() == "message/rfc822":
        yield [m.get_content_type(), "", ""]
    elif m.is_multipart():
        for p in m.get_payload():
            yield from leaves(p)
    else:
        data = m.get_payload(decode=True) or b""
        yield [m.get_content_type(), "", hashlib.sha256(data).hexdigest()]


while True:
    size = sys.stdin.buffer.readline()
    if not size:
        break
    m = email.message_from_bytes(sys.stdin.buffer.read(int(size)))
    print(json.dumps(list(leaves(m))), flush=True)
