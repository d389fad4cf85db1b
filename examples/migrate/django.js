// node examples/migrate/django.js users.json > users.ndjson
import { objectsOf, writeUser } from './objects.js';

for await (const { fields: user } of objectsOf(process.argv[2]))
  await writeUser({
    email: user.email,
    display_name: [user.first_name, user.last_name].filter(Boolean).join(' ') || user.username,
    is_active: user.is_active,
    // Django begins the hash of nobody's password with an exclamation mark.
    password_hash: user.password.startsWith('!') ? undefined : user.password,
    created_at: user.date_joined,
  });
