-- Searches compare names in lower case. lower() alone follows the collation of the database: C leaves É as it is, and a
-- Turkish one makes a dotless i of I. This function folds every name in the same way, whatever the database was created with.
-- Postgres 17 and later have the collation of Unicode itself, earlier ones that of ICU or of the C library.
DO $$
DECLARE
    "chosen" TEXT := (
        SELECT collname FROM pg_collation
        WHERE collnamespace = 'pg_catalog'::regnamespace AND collname IN ('pg_c_utf8', 'und-x-icu', 'C.utf8')
          AND collencoding IN (-1, pg_char_to_encoding('UTF8'))
        ORDER BY array_position(ARRAY['pg_c_utf8', 'und-x-icu', 'C.utf8'], collname::text) LIMIT 1);
BEGIN
    IF "chosen" IS NULL THEN
        RAISE EXCEPTION 'Postgres has no collation that knows Unicode (pg_c_utf8, und-x-icu or C.utf8). Use a Postgres with ICU, or Postgres 17 or later.';
    END IF;
    EXECUTE format('CREATE OR REPLACE FUNCTION "fold_name"("name" TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
                    $fold$ SELECT lower("name" COLLATE %I) $fold$', "chosen");
END
$$;

-- On a large table, create the function and then the index by hand before, CONCURRENTLY (docs/operating.md). The index
-- users_name_prefix_idx stays for processes of the release before; a later release drops it.
CREATE INDEX IF NOT EXISTS "users_folded_name_idx" ON "users"(("fold_name"("display_name")) COLLATE "C", "id");
