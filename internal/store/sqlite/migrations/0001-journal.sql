-- One row per message and tenant, and per part kept back. What is searched or
-- sorted by is a column; the rest of the entry is JSON in facts. seal covers
-- id, tenant, parent, state, expires, original, sanitized and facts. due, lease,
-- lease_until and deaths are bookkeeping: who changes them can delay an entry
-- or have it tried again, no more.
CREATE TABLE entries (
  seq         INTEGER PRIMARY KEY,
  id          TEXT    NOT NULL UNIQUE,
  tenant      TEXT    NOT NULL,
  parent      TEXT    NOT NULL,
  state       INTEGER NOT NULL,
  due         INTEGER NOT NULL, -- times are microseconds since 1970, 0 is none
  expires     INTEGER NOT NULL,
  original    TEXT    NOT NULL, -- ids of blobs
  sanitized   TEXT    NOT NULL,
  facts       BLOB    NOT NULL,
  seal        BLOB    NOT NULL,
  lease       TEXT    NOT NULL DEFAULT '',
  lease_until INTEGER NOT NULL DEFAULT 0,
  deaths      INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Lists and counts.
CREATE INDEX entries_state  ON entries (state, id);
CREATE INDEX entries_tenant ON entries (tenant, state, id);
CREATE INDEX entries_parent ON entries (parent, id) WHERE parent <> '';

-- Work. A million Held rows are in none of the first three.
CREATE INDEX entries_received ON entries (tenant, due) WHERE state = 1;
CREATE INDEX entries_queued   ON entries (tenant, due) WHERE state = 2;
CREATE INDEX entries_suspect  ON entries (state, due)  WHERE lease <> '' OR deaths > 0;
CREATE INDEX entries_held     ON entries (expires) WHERE state = 3 AND expires > 0;
CREATE INDEX entries_done     ON entries (expires) WHERE state = 4 AND expires > 0;

-- Which bytes are still named.
CREATE INDEX entries_original  ON entries (original);
CREATE INDEX entries_sanitized ON entries (sanitized) WHERE sanitized <> '';

-- Small blobs, encrypted like those in files. aside: damaged, kept for ever.
CREATE TABLE small (
  seq   INTEGER PRIMARY KEY,
  id    TEXT    NOT NULL UNIQUE,
  bytes BLOB    NOT NULL,
  aside INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Rows that could not be read, as they were. Their blobs stay.
CREATE TABLE damaged (
  seq       INTEGER PRIMARY KEY,
  moved     INTEGER NOT NULL,
  reason    TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  tenant    TEXT    NOT NULL,
  parent    TEXT    NOT NULL,
  state     INTEGER NOT NULL,
  due       INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  original  TEXT    NOT NULL,
  sanitized TEXT    NOT NULL,
  facts     BLOB    NOT NULL,
  seal      BLOB    NOT NULL
) STRICT;

-- The hash chain of every decision and every act.
CREATE TABLE audit (
  seq    INTEGER PRIMARY KEY,
  time   INTEGER NOT NULL,
  tenant TEXT    NOT NULL,
  actor  TEXT    NOT NULL,
  act    TEXT    NOT NULL,
  id     TEXT    NOT NULL,
  detail TEXT    NOT NULL,
  prev   BLOB    NOT NULL,
  hash   BLOB    NOT NULL
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant, seq);

-- Tenants' keys, wrapped by the site's key file.
CREATE TABLE tenant_keys (
  tenant  TEXT PRIMARY KEY,
  wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- People of the command line, sealed one by one.
CREATE TABLE accounts (
  name    TEXT    PRIMARY KEY,
  uid     INTEGER NOT NULL UNIQUE,
  created INTEGER NOT NULL,
  seal    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Facts about the database itself: which seal key it belongs to, and where the
-- audit ends.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
