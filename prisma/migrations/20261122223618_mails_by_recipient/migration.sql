-- Mails are counted by the address that they go to, whichever account asked for them.

-- DropIndex
DROP INDEX "mails_user_id_kind_created_at_idx";

-- AlterTable
ALTER TABLE "mails" ADD COLUMN     "recipient" BYTEA;

-- CreateIndex
CREATE INDEX "mails_user_id_idx" ON "mails"("user_id");

-- CreateIndex
CREATE INDEX "mails_recipient_kind_created_at_idx" ON "mails"("recipient", "kind", "created_at");
