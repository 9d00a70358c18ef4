-- What domains on the internet say about their mail servers (MTA-STS), as it
-- was fetched, sealed one by one. until: when it is good no more.
CREATE TABLE policies (
  domain TEXT    PRIMARY KEY,
  policy BLOB    NOT NULL,
  until  INTEGER NOT NULL,
  seal   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
