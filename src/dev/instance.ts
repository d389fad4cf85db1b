// The development instance of a folder: what `npm run dev` keeps there, and how commands in the same folder find it.
import { constants } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { isAlive } from './process-lock.ts';

/** Contains the database, its password, the master key and, while it runs, the settings of the instance. */
export const dataFolder = '.data';

const fileIn = (folder: string) => join(folder, dataFolder, 'instance.json');

const Instance = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'must be JSON' });
      return z.NEVER;
    }
  })
  .pipe(
    z.strictObject({
      pid: z.int().positive(),
      issuer: z.url({ protocol: /^https?$/ }).regex(/^[\x21-\x7e]+$/), // commands print it
      // Nothing else: the file must not change what a command trusts, such as PATH or HIBP_URL.
      environment: z.strictObject({
        DATABASE_URL: z.string(),
        DATABASE_DIRECT_URL: z.string(),
        MASTER_KEYS: z.string(),
        APP_URL: z.string(),
        SMTP_URL: z.string().optional(),
      }),
    }),
  );

export type DevelopmentInstance = z.infer<typeof Instance>;

/** What commands can read from the environment of a running instance. */
const environmentOf = ({ database, masterKeys, appUrl, mail }: Config): DevelopmentInstance['environment'] => ({
  DATABASE_URL: database.url,
  DATABASE_DIRECT_URL: database.directUrl,
  MASTER_KEYS: masterKeys.map((key) => key.toString('base64url')).join(','),
  APP_URL: appUrl,
  ...(mail?.kind === 'smtp' && { SMTP_URL: mail.url }),
});

/** Publishes the settings of this process to commands. Returns a function that withdraws them. */
export async function publishInstance(config: Config): Promise<() => Promise<void>> {
  const file = fileIn('.');
  const text = JSON.stringify({ pid: process.pid, issuer: config.issuer, environment: environmentOf(config) });
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  await rm(draft, { force: true }); // the mode of an existing file would stay
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
  await rename(draft, file);
  return async () => {
    const current = await findInstance('.').catch(() => undefined); // must not prevent the shutdown
    if (current?.pid === process.pid) await rm(file, { force: true });
  };
}

/** Finds the instance that runs in a folder; undefined if none runs, also if one has crashed. @throws if its file cannot be trusted */
export async function findInstance(folder: string): Promise<DevelopmentInstance | undefined> {
  const { data } = Instance.safeParse(await readOwn(fileIn(folder)));
  return data && isAlive(data.pid) ? data : undefined;
}

/**
 * Reads a file that only this user can have written, because others may have write access to the folder. Returns an empty text if
 * there is none. @throws if it is a link, or if someone else owns or can change it
 */
async function readOwn(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0)
        throw new Error(`${path} must be a file of this user with mode 600`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return '';
    throw error;
  }
}
