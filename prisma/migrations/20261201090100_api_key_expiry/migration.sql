-- RFC 3339 has no form for a year of five digits, and the driver cannot read one: a single such key made every list of API keys
-- fail. NOT VALID first, so that no process of the release before stores another one until the rows are changed.
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_expiry_has_four_digits"
    CHECK ("expires_at" >= '0001-01-01 00:00:00+00' AND "expires_at" < '9999-12-31 00:00:00+00') NOT VALID;
UPDATE "api_keys" SET "expires_at" = '9999-12-30 00:00:00+00' WHERE "expires_at" >= '9999-12-31 00:00:00+00';
UPDATE "api_keys" SET "expires_at" = '0001-01-01 00:00:00+00' WHERE "expires_at" < '0001-01-01 00:00:00+00';
ALTER TABLE "api_keys" VALIDATE CONSTRAINT "api_keys_expiry_has_four_digits";
