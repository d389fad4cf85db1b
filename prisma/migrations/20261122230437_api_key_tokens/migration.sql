-- An API key revokes its access tokens up to a second.

-- AlterTable
ALTER TABLE "api_keys" ADD COLUMN     "tokens_from" TIMESTAMPTZ(6);
