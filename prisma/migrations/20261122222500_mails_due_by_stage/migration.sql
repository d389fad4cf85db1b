-- The worker looks for asks, then for letters: each must be found without a look at all that wait of the other.
DROP INDEX "mails_due";
CREATE INDEX "mails_due" ON "mails"("stage", "due_at") WHERE "sent_at" IS NULL AND "failed_at" IS NULL;
