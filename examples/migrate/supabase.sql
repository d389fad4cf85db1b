-- Prints one line per user for `users import`. docs/migrating-users.md shows the psql command that runs this file.
SELECT json_strip_nulls(json_build_object(
  'email', email,
  'display_name', COALESCE(
    NULLIF(btrim(raw_user_meta_data ->> 'full_name'), ''),
    NULLIF(btrim(raw_user_meta_data ->> 'name'), ''),
    split_part(email, '@', 1)),
  'email_verified', email_confirmed_at IS NOT NULL,
  'is_active', banned_until IS NULL OR banned_until < now(),
  'password_hash', NULLIF(encrypted_password, ''),
  'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
))
FROM auth.users
WHERE deleted_at IS NULL AND NOT is_anonymous AND NOT is_sso_user
ORDER BY created_at;
