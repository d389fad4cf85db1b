-- Imports of accounts from a file: how far each has come, and which of its lines were refused.

CREATE TABLE "user_imports" (
    "file_sha256" BYTEA NOT NULL,
    "next_byte" BIGINT NOT NULL DEFAULT 0,
    "lines" INTEGER NOT NULL DEFAULT 0,
    "taken" INTEGER NOT NULL DEFAULT 0,
    "refused" INTEGER NOT NULL DEFAULT 0,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "finished_at" TIMESTAMPTZ(6),

    CONSTRAINT "user_imports_pkey" PRIMARY KEY ("file_sha256"),
    CONSTRAINT "user_imports_file_is_sha256" CHECK (octet_length("file_sha256") = 32),
    CONSTRAINT "user_imports_counts_lines" CHECK ("taken" + "refused" <= "lines")
);

CREATE TABLE "user_import_refusals" (
    "file_sha256" BYTEA NOT NULL,
    "line" INTEGER NOT NULL,
    "reasons" TEXT[],

    CONSTRAINT "user_import_refusals_pkey" PRIMARY KEY ("file_sha256", "line"),
    CONSTRAINT "user_import_refusals_has_reason" CHECK (cardinality("reasons") > 0),
    CONSTRAINT "user_import_refusals_file_sha256_fkey" FOREIGN KEY ("file_sha256") REFERENCES "user_imports"("file_sha256") ON DELETE CASCADE ON UPDATE CASCADE
);
