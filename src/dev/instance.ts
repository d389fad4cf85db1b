// The development instance of a folder: what `npm run dev` keeps there, and how commands in the same folder find it.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config, Environment } from '../config.ts';
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
  .pipe(z.object({ pid: z.int().positive(), issuer: z.string(), environment: z.record(z.string(), z.string()) }));

/** What commands can read from the environment of a running instance. */
const environmentOf = ({ database, masterKeys, appUrl, mail }: Config): Record<string, string> => ({
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
    const current = await findInstance('.');
    if (current?.pid === process.pid) await rm(file, { force: true });
  };
}

export interface DevelopmentInstance {
  pid: number;
  issuer: string;
  environment: Environment;
}

/** Finds the instance that runs in a folder; undefined if none runs, also if one has crashed. @throws if its file cannot be read */
export async function findInstance(folder: string): Promise<DevelopmentInstance | undefined> {
  const text = await readFile(fileIn(folder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw error;
  });
  const { data } = Instance.safeParse(text);
  return data && isAlive(data.pid) ? data : undefined;
}
