-- As before, but the net is looked at once more when nobody can write to it: an event may have come meanwhile.
CREATE OR REPLACE FUNCTION "audit_drop_oldest"("before" DATE) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    "oldest" TEXT := "audit_oldest"("before");
BEGIN
    IF "oldest" = 'audit_events_default' THEN
        LOCK TABLE ONLY "audit_events" IN ACCESS EXCLUSIVE MODE;
        IF "audit_oldest"("before") IS DISTINCT FROM "oldest" THEN RETURN NULL; END IF;
        PERFORM "audit_renew_default"();
        DELETE FROM "audit_personal_data" WHERE "event_id" IN (SELECT "id" FROM "audit_events_caught");
        DROP TABLE "audit_events_caught";
    ELSIF "oldest" IS NOT NULL THEN
        EXECUTE format('DROP TABLE %I', "oldest");
    END IF;
    RETURN "oldest";
END
$$;
