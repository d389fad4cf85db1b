-- Links by mail, and the outbox that the mails wait in.

-- AlterTable
ALTER TABLE "audit_personal_data" ADD COLUMN     "email" TEXT;

-- CreateTable
CREATE TABLE "one_time_tokens" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "purpose" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "token_hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "one_time_tokens_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "mails" (
    "id" UUID NOT NULL,
    "stage" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "user_id" UUID,
    "token_id" UUID,
    "payload" BYTEA,
    "master_key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "due_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "sent_at" TIMESTAMPTZ(6),
    "failed_at" TIMESTAMPTZ(6),
    "last_fault" TEXT,

    CONSTRAINT "mails_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "one_time_tokens_user_id_idx" ON "one_time_tokens"("user_id");

-- CreateIndex
CREATE INDEX "one_time_tokens_expires_at_idx" ON "one_time_tokens"("expires_at");

-- CreateIndex
CREATE INDEX "mails_user_id_kind_created_at_idx" ON "mails"("user_id", "kind", "created_at");

-- AddForeignKey
ALTER TABLE "one_time_tokens" ADD CONSTRAINT "one_time_tokens_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "mails" ADD CONSTRAINT "mails_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;


-- A newer link voids the older one of its purpose; but whoever changes an address twice leaves both undo links good.
CREATE UNIQUE INDEX "one_time_tokens_newest" ON "one_time_tokens"("user_id", "purpose") WHERE "purpose" <> 'email_undo';

-- An address that a change can still be undone to is nobody else's to take.
CREATE INDEX "one_time_tokens_reserved" ON "one_time_tokens"("email") WHERE "purpose" = 'email_undo';

ALTER TABLE "one_time_tokens" ADD CONSTRAINT "one_time_tokens_purpose"
    CHECK ("purpose" IN ('verification', 'email_change', 'email_undo', 'password_reset'));

-- What the worker looks for, and how long the oldest has waited.
CREATE INDEX "mails_due" ON "mails"("due_at") WHERE "sent_at" IS NULL AND "failed_at" IS NULL;
CREATE INDEX "mails_done" ON "mails"("sent_at") WHERE "sent_at" IS NOT NULL;

-- What was sent is erased in the same step.
ALTER TABLE "mails"
    ADD CONSTRAINT "mails_stage" CHECK ("stage" IN ('asked', 'written')),
    ADD CONSTRAINT "mails_sent_is_erased" CHECK (("payload" IS NULL) = ("sent_at" IS NOT NULL));

-- A link lives on as long as its letter waits.
CREATE INDEX "mails_token" ON "mails"("token_id") WHERE "sent_at" IS NULL AND "failed_at" IS NULL;
