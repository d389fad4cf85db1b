-- How many attempts at a password there were in a row, for each client network and from anywhere.
-- Rows change often and live for minutes. No index covers what an attempt changes but the one that the purge reads.

CREATE TABLE "lockouts" (
    "email_hmac" BYTEA NOT NULL,
    "network" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "failures" INTEGER NOT NULL,
    "last_attempt_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "lockouts_pkey" PRIMARY KEY ("email_hmac", "network"),
    CONSTRAINT "lockouts_counts" CHECK ("failures" >= 0 AND "failures" <= "attempts"),
    CONSTRAINT "lockouts_email_hmac_is_sha256" CHECK (octet_length("email_hmac") = 32)
);

CREATE INDEX "lockouts_last_attempt_at_idx" ON "lockouts"("last_attempt_at");
