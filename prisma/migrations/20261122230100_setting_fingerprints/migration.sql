-- CreateTable
CREATE TABLE "setting_fingerprints" (
    "name" TEXT NOT NULL,
    "master_key_id" TEXT NOT NULL,
    "hmac" BYTEA NOT NULL,

    CONSTRAINT "setting_fingerprints_pkey" PRIMARY KEY ("name")
);
