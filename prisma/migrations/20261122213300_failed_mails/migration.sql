-- What the operator is shown, and what the purge looks for among mails that were given up: a few.
CREATE INDEX "mails_failed" ON "mails"("failed_at") WHERE "failed_at" IS NOT NULL;
