-- How TLS went with the mail servers of other domains, by day of UTC, until the
-- reports are sent (RFC 8460), sealed one by one.
CREATE TABLE tls_days (
  day    TEXT PRIMARY KEY,
  counts BLOB NOT NULL,
  seal   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
