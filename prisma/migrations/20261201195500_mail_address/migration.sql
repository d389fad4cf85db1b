-- Counts the emails of one address among those of its mailbox. Old processes leave it null: such an email counts for its mailbox only.
ALTER TABLE "mails" ADD COLUMN "address" BYTEA;
