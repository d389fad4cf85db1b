// node examples/migrate/auth0.js hashes.ndjson [profiles.ndjson] --output users.ndjson
import { z } from 'zod';
import { convertRecords, RecordError, runConverter } from './convert.js';

const Text = z.string().nullish();

const User = z.object({
  _id: z.object({ $oid: z.string() }).optional(),
  alt_id: z.string().optional(),
  email: Text,
  email_verified: z.boolean().optional(),
  identifiers: z.array(z.object({ type: Text, value: Text, verified: z.boolean().optional() })).nullish(),
  passwordHash: Text,
});

const Profile = z.object({ user_id: z.string(), name: Text, blocked: z.boolean().nullish(), created_at: Text });

function convertUser(user, profile) {
  const address = user.identifiers?.find(({ type }) => type === 'email');
  return {
    email: user.email ?? address?.value,
    display_name: profile.name,
    email_verified: user.email_verified ?? address?.verified,
    is_active: !profile.blocked,
    password_hash: user.passwordHash,
    created_at: profile.created_at ?? undefined,
  };
}

/** The export of hashes contains neither names nor blocked users. The export of profiles does, so it is read first. */
async function* convertUsers([hashes, profiles]) {
  const profileById = new Map();
  const readProfiles = profiles ? convertRecords(profiles, { schema: Profile, convert: (profile) => profile }) : [];
  for await (const result of readProfiles)
    if (result.skipped) yield result;
    else profileById.set(result.value.user_id, result.value);

  const convert = (user) => {
    const profile = profileById.get(`auth0|${user.alt_id ?? user._id?.$oid}`);
    // Without its profile, a blocked user would become an active account.
    if (profiles && !profile) throw new RecordError(`no profile in ${profiles}`);
    return convertUser(user, profile ?? {});
  };
  yield* convertRecords(hashes, { schema: User, convert });
}

await runConverter({ usage: 'auth0.js hashes.ndjson [profiles.ndjson]', files: [1, 2], convert: convertUsers });
