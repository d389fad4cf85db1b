-- Users, the roles that name their scopes, their sessions, the keys that sign for them, and the audit trail.

CREATE TABLE "users" (
    "id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "password_hash" TEXT NOT NULL,
    "email_verified" BOOLEAN NOT NULL DEFAULT false,
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "users_pkey" PRIMARY KEY ("id"),
    -- The application makes the canonical form; this holds a second writer to it.
    CONSTRAINT "users_email_canonical" CHECK ("email" ~ '^[!-~]+@[!-~]+$' AND "email" = lower("email" COLLATE "C"))
);

CREATE UNIQUE INDEX "users_email_key" ON "users"("email");

CREATE TABLE "roles" (
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "scopes" TEXT[],
    "built_in" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "roles_pkey" PRIMARY KEY ("name")
);

INSERT INTO "roles" ("name", "description", "scopes", "built_in") VALUES
    ('user', 'Everyone who has an account', ARRAY['profile', 'sessions', 'api-keys'], true),
    ('admin', 'Runs this service', ARRAY['users:read', 'users:write', 'roles:write', 'audit:read', 'keys:write', 'tokens:introspect'], true);

CREATE TABLE "user_roles" (
    "user_id" UUID NOT NULL,
    "role" TEXT NOT NULL,
    "granted_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "user_roles_pkey" PRIMARY KEY ("user_id", "role"),
    CONSTRAINT "user_roles_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "user_roles_role_fkey" FOREIGN KEY ("role") REFERENCES "roles"("name") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE INDEX "user_roles_role_idx" ON "user_roles"("role");

-- A refresh updates its row in place. The columns that it changes stand last, and no index covers one of them, so that
-- with a fillfactor of 80 the update is HOT. Keep it so: an index on expires_at would take the HOT share to 0%.
CREATE TABLE "sessions" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "absolute_expires_at" TIMESTAMPTZ(6) NOT NULL,
    "auth_time" TIMESTAMPTZ(6) NOT NULL,
    "client_id" TEXT NOT NULL,
    "amr" TEXT[],
    "scope" TEXT,
    "user_agent" TEXT,
    "ip" TEXT NOT NULL,
    "dpop_jkt" TEXT,
    "revoked_at" TIMESTAMPTZ(6),
    "revoked_reason" TEXT,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "generation" INTEGER NOT NULL DEFAULT 0,
    "token_hash" BYTEA NOT NULL,
    "turned_from" TEXT NOT NULL,
    "turned_at" TIMESTAMPTZ(6)[],
    "turn_salts" BYTEA[],

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "sessions_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "sessions_revoked_has_reason" CHECK (("revoked_at" IS NULL) = ("revoked_reason" IS NULL)),
    CONSTRAINT "sessions_token_hash_is_sha256" CHECK (octet_length("token_hash") = 32),
    CONSTRAINT "sessions_turns_are_paired" CHECK (cardinality("turned_at") = cardinality("turn_salts") AND cardinality("turned_at") <= 8)
) WITH (fillfactor = 80);

CREATE INDEX "sessions_user_id_id_idx" ON "sessions"("user_id", "id");
CREATE INDEX "sessions_absolute_expires_at_idx" ON "sessions"("absolute_expires_at");
-- What a user's logins, revocations and list read: however many dead sessions wait for the purge.
CREATE INDEX "sessions_unrevoked_idx" ON "sessions"("user_id", "created_at", "id") WHERE "revoked_at" IS NULL;
CREATE INDEX "sessions_revoked_at_idx" ON "sessions"("revoked_at") WHERE "revoked_at" IS NOT NULL;

CREATE TABLE "signing_keys" (
    "kid" TEXT NOT NULL,
    "alg" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "public_jwk" JSONB NOT NULL,
    "sealed_key" BYTEA NOT NULL,
    "master_key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "activated_at" TIMESTAMPTZ(6),
    "retired_at" TIMESTAMPTZ(6),

    CONSTRAINT "signing_keys_pkey" PRIMARY KEY ("kid"),
    CONSTRAINT "signing_keys_status_known" CHECK ("status" IN ('next', 'active', 'retired', 'revoked')),
    CONSTRAINT "signing_keys_public_only" CHECK (NOT "public_jwk" ?| ARRAY['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])
);

CREATE UNIQUE INDEX "signing_keys_one_active" ON "signing_keys"("alg") WHERE "status" = 'active';

CREATE TABLE "audit_events" (
    "id" UUID NOT NULL,
    "occurred_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "type" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "reason" TEXT,
    "actor_id" UUID,
    "user_id" UUID,
    "session_id" UUID,
    "request_id" TEXT,

    CONSTRAINT "audit_events_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "audit_events_outcome_known" CHECK ("outcome" IN ('success', 'failure'))
);

CREATE TABLE "audit_personal_data" (
    "event_id" UUID NOT NULL,
    "user_id" UUID,
    "ip" TEXT NOT NULL,
    "user_agent" TEXT,

    CONSTRAINT "audit_personal_data_pkey" PRIMARY KEY ("event_id"),
    CONSTRAINT "audit_personal_data_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX "audit_personal_data_user_id_idx" ON "audit_personal_data"("user_id");

CREATE FUNCTION "audit_is_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_events is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER "audit_events_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_events"
    FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();
