-- The X-Request-Id that the caller sent. "request_id" of an event is now always the service's own id. In the erasable table, because a
-- caller can put anything into it.
ALTER TABLE "audit_personal_data" ADD COLUMN "client_request_id" TEXT;
