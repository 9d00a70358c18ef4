-- Imported lists of recipients. A version is never changed but for withdrawn;
-- list is the file in tenant.WriteList's form, empty: anybody. seal covers all
-- of it but seq.
CREATE TABLE recipient_lists (
  seq       INTEGER PRIMARY KEY,
  tenant    TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  made      INTEGER NOT NULL,
  effective INTEGER NOT NULL,
  by        TEXT    NOT NULL,
  source    TEXT    NOT NULL,
  withdrawn INTEGER NOT NULL,
  list      BLOB    NOT NULL,
  seal      BLOB    NOT NULL,
  UNIQUE (tenant, version)
) STRICT;

-- One message's whole life is looked up by its id.
CREATE INDEX audit_id ON audit (id, seq) WHERE id <> '';
