-- Signing keys turn: when a key may sign, who still wants it, and for how long what it signed lives.

ALTER TABLE "audit_events" ADD COLUMN "kid" TEXT;

-- The defaults are for processes of the release before, which know none of these columns: 3600 is the longest ACCESS_TTL.
ALTER TABLE "signing_keys"
    ADD COLUMN "revoked_at" TIMESTAMPTZ(6),
    ADD COLUMN "ready_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN "asked_at" TIMESTAMPTZ(6),
    ADD COLUMN "wanted_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN "access_ttl_seconds" INTEGER NOT NULL DEFAULT 3600;

UPDATE "signing_keys" SET "sealed_key" = '', "revoked_at" = clock_timestamp() WHERE "status" = 'revoked';

-- Nobody can bring a revoked key back: its private half is gone.
ALTER TABLE "signing_keys" ADD CONSTRAINT "signing_keys_revoked_is_destroyed"
    CHECK ("status" <> 'revoked' OR ("revoked_at" IS NOT NULL AND octet_length("sealed_key") = 0));

CREATE UNIQUE INDEX "signing_keys_one_next" ON "signing_keys"("alg") WHERE "status" = 'next';
