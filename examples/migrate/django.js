// node examples/migrate/django.js users.json --output users.ndjson
import { z } from 'zod';
import { convertRecords, runConverter } from './convert.js';

const Text = z.string().nullish();

const Row = z.object({
  fields: z.object({
    email: Text,
    username: Text,
    first_name: Text,
    last_name: Text,
    is_active: z.boolean().optional(),
    password: Text,
    date_joined: Text,
  }),
});

const maxOffsetMs = 14 * 3_600_000;

/** With `USE_TZ=False` Django writes local time without a zone. It is treated as UTC. */
function createdAt(time) {
  if (!time || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$/.test(time)) return time ?? undefined;
  const aheadMs = Date.parse(`${time}Z`) - Date.now();
  // Treated as UTC, a recent local time can be in the future, which the import refuses. Without a time it uses the current one.
  return aheadMs > 0 && aheadMs <= maxOffsetMs ? undefined : `${time}Z`;
}

const convert = ({ fields: user }) => ({
  email: user.email,
  display_name: [user.first_name, user.last_name].filter((name) => name?.trim()).join(' ') || user.username,
  is_active: user.is_active,
  // A hash that starts with an exclamation mark is Django's mark for an account without a password.
  password_hash: user.password?.startsWith('!') ? undefined : user.password,
  created_at: createdAt(user.date_joined),
});

await runConverter({
  usage: 'django.js users.json',
  files: [1, 1],
  convert: ([file]) => convertRecords(file, { schema: Row, convert }),
});
