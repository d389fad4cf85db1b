-- What the filters of the audit trail read. Each ends with the id, so that a page is read in order; a request has few events. Partial, so
-- that an event costs only the entries that it has. For large tables create them beforehand (docs/operating.md).
CREATE INDEX IF NOT EXISTS "audit_events_session_id_id_idx" ON "audit_events"("session_id", "id") WHERE "session_id" IS NOT NULL;
CREATE INDEX IF NOT EXISTS "audit_events_request_id_idx" ON "audit_events"("request_id") WHERE "request_id" IS NOT NULL;

CREATE INDEX IF NOT EXISTS "audit_personal_data_email_event_id_idx" ON "audit_personal_data"("email", "event_id")
    WHERE "email" IS NOT NULL;
CREATE INDEX IF NOT EXISTS "audit_personal_data_client_request_id_event_id_idx" ON "audit_personal_data"("client_request_id", "event_id")
    WHERE "client_request_id" IS NOT NULL;
-- By address and not by text, so that a network is a range.
CREATE INDEX IF NOT EXISTS "audit_personal_data_ip_event_id_idx" ON "audit_personal_data"(("ip"::inet), "event_id");
