-- Emails that a person waits for are sent before those of registrations, of which a flood can be waiting. Each must be found without
-- a look at the others. Processes that do not know the column store every email as urgent, as before.
ALTER TABLE "mails" ADD COLUMN "is_urgent" BOOLEAN NOT NULL DEFAULT true;

CREATE INDEX IF NOT EXISTS "mails_due_by_urgency" ON "mails"("stage", "is_urgent", "due_at")
  WHERE "sent_at" IS NULL AND "failed_at" IS NULL;
DROP INDEX "mails_due";
