import { hash as argon2Hash, type Options, verify as argon2Verify } from '@node-rs/argon2';
import { Overloaded } from '../../lib/errors.ts';
import { monotonicMs } from '../../lib/clock.ts';
import { randomSecret } from '../../lib/secrets.ts';
import { toBase64 } from './hash-format.ts';
import { readHash } from './hash-formats.ts';

export interface HasherSettings {
  memoryKib: number;
  iterations: number;
  parallelism: number;
  /** At most so many hashes at once; fewer than the thread pool has threads. */
  concurrency: number;
  /** So many may wait; the next is refused. */
  queueMax: number;
}

export interface Hasher {
  /** An Argon2id hash in PHC form, with a salt of its own. @throws Overloaded, or the reason of `gone` */
  hash(password: string, gone: AbortSignal): Promise<string>;
  /**
   * Whether the password is the hash's, of any form that `readHash` knows. No password is that of any other text.
   * @throws Overloaded, or the reason of `gone`
   */
  verify(hash: string, password: string, gone: AbortSignal): Promise<boolean>;
  /** Costs what `verify` costs, and never matches: for accounts that are not there. */
  verifyDecoy(password: string, gone: AbortSignal): Promise<false>;
  /** Whether a hash is of another kind, or weaker than the settings ask, and can be replaced by one of this password. */
  needsRehash(hash: string, password: string): boolean;
  queue: () => { running: number; waiting: number };
}

/**
 * Runs at most `concurrency` jobs at once, in order; refuses what would wait behind `queueMax` others. Who goes away while
 * waiting leaves the queue: otherwise clients that hang up would keep honest ones out at no cost of their own.
 */
function makeQueue({ concurrency, queueMax }: HasherSettings, waited: (seconds: number) => void) {
  const waiting: (() => void)[] = [];
  let running = 0;
  let meanSeconds = 0.1;

  /** Hands the place on to who waits longest, so that nobody can slip in between. */
  const finish = (startedMs: number) => {
    meanSeconds += ((monotonicMs() - startedMs) / 1000 - meanSeconds) / 8;
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  };

  const wait = (gone: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const leave = () => {
        waiting.splice(waiting.indexOf(enter), 1);
        reject(gone.reason as Error);
      };
      const enter = () => {
        gone.removeEventListener('abort', leave);
        resolve();
      };
      waiting.push(enter);
      gone.addEventListener('abort', leave, { once: true });
    });

  const enqueue = async <Result>(gone: AbortSignal, job: () => Promise<Result>): Promise<Result> => {
    gone.throwIfAborted();
    const cameMs = monotonicMs();
    if (running >= concurrency) {
      if (waiting.length >= queueMax) throw new Overloaded('hash queue', (queueMax * meanSeconds) / concurrency);
      await wait(gone);
    } else {
      running += 1;
    }
    const startedMs = monotonicMs();
    waited((startedMs - cameMs) / 1000);
    try {
      return await job();
    } finally {
      finish(startedMs);
    }
  };
  return { enqueue, standing: () => ({ running, waiting: waiting.length }) };
}

const argon2Form = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$/;
const isBcrypt = (hash: string) => /^\$2[aby]\$/.test(hash);
/** `Algorithm.Argon2id`, which is an ambient const enum and so cannot be imported. */
const argon2id = 2;

/** `waited` is told how many seconds each password waited for its turn. */
export function makeHasher(settings: HasherSettings, waited: (seconds: number) => void): Hasher {
  const { enqueue, standing } = makeQueue(settings, waited);
  const { memoryKib, iterations, parallelism } = settings;
  const options: Options = {
    algorithm: argon2id,
    memoryCost: memoryKib,
    timeCost: iterations,
    parallelism,
  };
  const parameters = `m=${memoryKib},t=${iterations},p=${parallelism}`;
  const decoy = `$argon2id$v=19$${parameters}$${toBase64(randomSecret(16))}$${toBase64(randomSecret(32))}`;
  const verifyDecoy = async (password: string, gone: AbortSignal): Promise<false> => {
    await enqueue(gone, () => argon2Verify(decoy, password));
    return false;
  };

  return {
    queue: standing,
    hash: (password, gone) => enqueue(gone, () => argon2Hash(password, options)),
    async verify(hash, password, gone) {
      const known = readHash(hash);
      return known ? enqueue(gone, () => known.matches(password)) : verifyDecoy(password, gone);
    },
    verifyDecoy,
    needsRehash(hash, password) {
      // bcrypt looked at 72 bytes only: what was typed may be another password, and its hash would lock the right one out.
      if (isBcrypt(hash) && Buffer.byteLength(password) > 72) return false;
      const [, m, t, p] = argon2Form.exec(hash) ?? [];
      return !(Number(m) >= memoryKib && Number(t) >= iterations && Number(p) >= parallelism);
    },
  };
}
