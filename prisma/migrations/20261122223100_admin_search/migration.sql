-- What a search of accounts reads: addresses and names that begin with something, by bytes, so that a prefix is a range.
-- On a large table build both by hand before, CONCURRENTLY and under these names.

CREATE INDEX IF NOT EXISTS "users_email_prefix_idx" ON "users"("email" COLLATE "C");
CREATE INDEX IF NOT EXISTS "users_name_prefix_idx" ON "users"((lower("display_name")) COLLATE "C", "id");
