-- Never written and never read: no token was bound to a key.
ALTER TABLE "sessions" DROP COLUMN "dpop_jkt";
