-- The job that deletes unused accounts reads unverified accounts in the order of their ids.
CREATE INDEX IF NOT EXISTS "users_unverified_idx" ON "users"("id") WHERE NOT "email_verified";
