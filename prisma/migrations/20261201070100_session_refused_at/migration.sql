-- When a refresh token of the ended session was first presented. Later presentations are not audited.
ALTER TABLE "sessions" ADD COLUMN "refused_at" TIMESTAMPTZ(6);
