// node examples/migrate/auth0.js hashes.ndjson [profiles.ndjson] > users.ndjson
import { objectsOf, writeUser } from './objects.js';

const [hashes, profiles] = process.argv.slice(2);
/** The export of hashes has no names, nor who is blocked: those are in the export of users. */
const profileOf = new Map();
if (profiles) for await (const profile of objectsOf(profiles)) profileOf.set(profile.user_id, profile);

for await (const user of objectsOf(hashes)) {
  const profile = profileOf.get(`auth0|${user.alt_id ?? user._id.$oid}`) ?? {};
  const address = user.identifiers?.find(({ type }) => type === 'email');
  await writeUser({
    email: user.email ?? address?.value,
    display_name: profile.name,
    email_verified: user.email_verified ?? address?.verified,
    is_active: !profile.blocked,
    password_hash: user.passwordHash,
    created_at: profile.created_at,
  });
}
