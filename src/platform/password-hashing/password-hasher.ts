import { hash as argon2Hash, type Options, verify as argon2Verify } from '@node-rs/argon2';
import { randomSecret } from '../../lib/secrets.ts';
import { toBase64 } from './hash-format.ts';
import { parseHash } from './hash-formats.ts';
import { type HashClient, type HashQueueConfig, makeHashQueue } from './hash-queue.ts';
import { normalizePassword, passwordForms } from './normalize-password.ts';

export interface HasherConfig extends HashQueueConfig {
  memoryKib: number;
  iterations: number;
  parallelism: number;
}

/** Passwords are given as they were typed. Each waits in the queue of its client's network. */
export interface Hasher {
  /** Returns an Argon2id hash of the normalized password as a PHC string, with a random salt. @throws Overloaded, or the reason of the client's signal */
  hash(password: string, client: HashClient): Promise<string>;
  /**
   * Whether a password matches a hash. No password matches a hash in an unsupported format. Other systems may not have normalized
   * the password, so an imported hash is compared with each of its forms. @throws like `hash`
   */
  verify(hash: string, password: string, client: HashClient): Promise<boolean>;
  /** Returns the first of several passwords that matches a hash, like `verify`. */
  findMatch(hash: string, passwords: readonly string[], client: HashClient): Promise<string | undefined>;
  /** Takes the same time as `verify` and never matches, so that unknown accounts cannot be recognized. @throws like `hash` */
  verifyDecoy(password: string, client: HashClient): Promise<false>;
  /** Whether to replace a hash after a login, because it was imported or is weaker than configured. */
  needsRehash(hash: string, password: string): boolean;
  queue: () => { running: number; waiting: number };
}

/** A hash of this service. The import marks the same form of other systems with a prefix. */
const isOwn = (hash: string) => hash.startsWith('$argon2id$');
const argon2idParameters = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$/;
const isBcrypt = (hash: string) => /^\$2[aby]\$/.test(hash);
/** `Algorithm.Argon2id`, an ambient const enum, which cannot be imported. */
const argon2id = 2;

/** `onWait` receives the seconds that each password waited in the queue. */
export function makeHasher(config: HasherConfig, onWait: (seconds: number) => void): Hasher {
  const queue = makeHashQueue(config, onWait);
  const { memoryKib, iterations, parallelism } = config;
  const options: Options = {
    algorithm: argon2id,
    memoryCost: memoryKib,
    timeCost: iterations,
    parallelism,
  };
  const parameters = `m=${memoryKib},t=${iterations},p=${parallelism}`;
  const decoy = `$argon2id$v=19$${parameters}$${toBase64(randomSecret(16))}$${toBase64(randomSecret(32))}`;
  const verifyDecoy = async (password: string, client: HashClient): Promise<false> => {
    await queue.run(client, () => argon2Verify(decoy, normalizePassword(password)));
    return false;
  };

  const findMatch: Hasher['findMatch'] = async (hash, passwords, client) => {
    const parsed = parseHash(hash);
    const formsOf = isOwn(hash) || !parsed ? (password: string) => [normalizePassword(password)] : passwordForms;
    // One place in the queue: a client that disconnects between two comparisons would have guessed without being counted.
    return queue.run(client, async () => {
      for (const password of passwords)
        for (const form of formsOf(password)) {
          if (!parsed) await argon2Verify(decoy, form);
          else if (await parsed.matches(form)) return password;
        }
      return undefined;
    });
  };

  return {
    queue: queue.size,
    hash: (password, client) => queue.run(client, () => argon2Hash(normalizePassword(password), options)),
    verify: async (hash, password, client) => (await findMatch(hash, [password], client)) !== undefined,
    findMatch,
    verifyDecoy,
    needsRehash(hash, password) {
      // bcrypt ignores the bytes after the 72nd, so the user may have typed another password. Its hash would reject the right one.
      if (isBcrypt(hash) && passwordForms(password).some((form) => Buffer.byteLength(form) > 72)) return false;
      const [, m, t, p] = argon2idParameters.exec(hash) ?? [];
      return !(Number(m) >= memoryKib && Number(t) >= iterations && Number(p) >= parallelism);
    },
  };
}
