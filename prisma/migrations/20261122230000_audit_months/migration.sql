-- The audit trail in a partition a month, so that its oldest months can be dropped whole. An event's id is a UUIDv7: it
-- begins with the time, and so months are ranges of ids, and the id alone stays the primary key.
-- The rows that are there are not copied: their table becomes the partition of everything before the end of this month.

-- For a list by user and by type. On a large table make them by hand first, under these names (docs/operating.md).
CREATE INDEX IF NOT EXISTS "audit_events_user_id_id_idx" ON "audit_events"("user_id", "id");
CREATE INDEX IF NOT EXISTS "audit_events_type_id_idx" ON "audit_events"("type", "id");

-- The least id that an event of a month can have.
CREATE FUNCTION "audit_first_id"("month" DATE) RETURNS UUID LANGUAGE sql IMMUTABLE AS $$
    SELECT rpad(lpad(to_hex((extract(epoch FROM "month"::timestamp) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

-- Every partition refuses by itself: a trigger of the parent sees only what names the parent.
CREATE FUNCTION "audit_make_partition"("partition" TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE "audit_events" INCLUDING ALL)', "partition");
    EXECUTE format('CREATE TRIGGER "audit_events_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"()', "partition");
END
$$;

-- Takes the net away as "audit_events_caught", and hangs an empty one in its place.
CREATE FUNCTION "audit_renew_default"() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE "audit_events" DETACH PARTITION "audit_events_default";
    ALTER TABLE "audit_events_default" RENAME TO "audit_events_caught";
    PERFORM "audit_make_partition"('audit_events_default');
    ALTER TABLE "audit_events" ATTACH PARTITION "audit_events_default" DEFAULT;
END
$$;

-- Makes the partition of the month that begins on a date, and brings along what the net has caught of it. False where
-- there is one. ATTACH keeps no insert waiting; only a net that has caught something does.
CREATE FUNCTION "audit_open_month"("month" DATE) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    "partition" TEXT := 'audit_events_' || to_char("month", 'YYYYMM');
    "first_id" UUID := "audit_first_id"("month");
    "end_id" UUID := "audit_first_id"(("month" + interval '1 month')::date);
    "caught" boolean;
BEGIN
    IF to_regclass("partition") IS NOT NULL THEN RETURN false; END IF;
    PERFORM "audit_make_partition"("partition");
    SELECT EXISTS (SELECT FROM "audit_events_default" WHERE "id" >= "first_id" AND "id" < "end_id") INTO "caught";
    IF "caught" THEN PERFORM "audit_renew_default"(); END IF;
    EXECUTE format('ALTER TABLE "audit_events" ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   "partition", "first_id", "end_id");
    IF "caught" THEN
        INSERT INTO "audit_events" SELECT * FROM "audit_events_caught";
        DROP TABLE "audit_events_caught";
    END IF;
    RETURN true;
END
$$;

-- The oldest partition whose every event is of a month before the one that begins on a date; the net, too, once all that
-- it has caught is older. Null where there is none.
CREATE FUNCTION "audit_oldest"("before" DATE) RETURNS TEXT LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(
        (SELECT c.relname::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = '"audit_events"'::regclass AND c.relname ~ '^audit_events_\d{6}$'
           AND c.relname::text COLLATE "C" < 'audit_events_' || to_char("before", 'YYYYMM')
         ORDER BY c.relname LIMIT 1),
        (SELECT 'audit_events_default' WHERE EXISTS (SELECT FROM "audit_events_default") AND NOT EXISTS (
            SELECT FROM "audit_events_default" WHERE "occurred_at" >= "before"::timestamp AT TIME ZONE 'UTC')));
END
$$;

-- Drops that, and tells its name; null where there is none.
CREATE FUNCTION "audit_drop_oldest"("before" DATE) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    "oldest" TEXT := "audit_oldest"("before");
BEGIN
    IF "oldest" = 'audit_events_default' THEN
        PERFORM "audit_renew_default"();
        DELETE FROM "audit_personal_data" WHERE "event_id" IN (SELECT "id" FROM "audit_events_caught");
        DROP TABLE "audit_events_caught";
    ELSIF "oldest" IS NOT NULL THEN
        EXECUTE format('DROP TABLE %I', "oldest");
    END IF;
    RETURN "oldest";
END
$$;

DO $$
DECLARE
    "this_month" DATE := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;
    "end_id" UUID := "audit_first_id"(("this_month" + interval '1 month')::date);
    "first" TEXT := 'audit_events_' || to_char("this_month", 'YYYYMM');
BEGIN
    EXECUTE format('ALTER TABLE "audit_events" RENAME TO %I', "first");
    EXECUTE format('ALTER INDEX "audit_events_pkey" RENAME TO %I', "first" || '_pkey');
    EXECUTE format('ALTER INDEX "audit_events_user_id_id_idx" RENAME TO %I', "first" || '_user_id_id_idx');
    EXECUTE format('ALTER INDEX "audit_events_type_id_idx" RENAME TO %I', "first" || '_type_id_idx');

    EXECUTE format('CREATE TABLE "audit_events" (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
                        CONSTRAINT "audit_events_pkey" PRIMARY KEY ("id")
                    ) PARTITION BY RANGE ("id")', "first");
    CREATE INDEX "audit_events_user_id_id_idx" ON "audit_events"("user_id", "id");
    CREATE INDEX "audit_events_type_id_idx" ON "audit_events"("type", "id");
    CREATE TRIGGER "audit_events_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_events"
        FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();

    -- So that no event is ever refused for its month.
    PERFORM "audit_make_partition"('audit_events_default');
    ALTER TABLE "audit_events" ATTACH PARTITION "audit_events_default" DEFAULT;

    -- A process whose clock went far ahead may have left such ids.
    EXECUTE format('INSERT INTO "audit_events" SELECT * FROM %I WHERE "id" >= %L', "first", "end_id");
    EXECUTE format('ALTER TABLE %I DISABLE TRIGGER "audit_events_append_only"', "first");
    EXECUTE format('DELETE FROM %I WHERE "id" >= %L', "first", "end_id");
    EXECUTE format('ALTER TABLE %I ENABLE TRIGGER "audit_events_append_only"', "first");
    EXECUTE format('ALTER TABLE "audit_events" ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', "first", "end_id");

    PERFORM "audit_open_month"(("this_month" + interval '1 month')::date);
    PERFORM "audit_open_month"(("this_month" + interval '2 months')::date);
END
$$;
