// Why a connection to Postgres failed, in one sentence that says what to do.
import type { Pool } from 'pg';
import { StartupError } from '../../lib/errors.ts';
import { DatabaseUnavailable } from '../postgres.ts';
import { certificateCodes } from './pool/causes.ts';

export interface ConnectionError {
  sentence: string;
  /** Whether only a change of the configuration, of the role or of the server can help, so that waiting is useless. */
  isPermanent: boolean;
}

interface NetworkError {
  code?: string;
  message?: string;
}

/** Names the server and not the password: `Postgres at db.example.com:5432`. */
function serverOf(url: URL): string {
  const { hostname, port, searchParams } = url;
  return `${searchParams.get('host') ?? (hostname || 'localhost')}:${searchParams.get('port') ?? (port || 5432)}`;
}

/** Describes an error of `pg` while it connects to `text`, the URL of a database. */
export function describeConnectionError(error: unknown, text: string): ConnectionError {
  const { code = '', message: ownMessage } = error as NetworkError;
  const message = (ownMessage || code).trim(); // an error of several addresses has only a code
  const url = new URL(text);
  const server = `Postgres at ${serverOf(url)}`;
  const database = url.pathname.slice(1);
  const permanent = (sentence: string): ConnectionError => ({ sentence, isPermanent: true });
  const temporary = (sentence: string): ConnectionError => ({ sentence, isPermanent: false });

  if (code === '28P01')
    return permanent(`${server} rejects the login (${message}). Correct the user and the password in DATABASE_URL.`);
  if (message.includes('password must be a'))
    // of pg, before it sends anything
    return permanent(
      `${server} requires a password. Add it to DATABASE_URL: postgresql://user:password@host/database.`,
    );
  if (code.startsWith('28'))
    return permanent(
      `${server} rejects the login (${message}). Correct DATABASE_URL (the user, the database, sslmode, sslcert), or allow the connection in pg_hba.conf.`,
    );
  if (code === '3D000')
    return permanent(
      `${server} has no database "${database}". Correct DATABASE_URL, or create it with CREATE DATABASE.`,
    );
  if (code === '42501')
    return permanent(
      `The role lacks a right on ${server} (${message}). Grant it, or correct the user in DATABASE_URL.`,
    );
  // Also while the DNS has a gap, or until Compose has started the container of the database.
  if (code === 'ENOTFOUND')
    return temporary(`The host of ${server} does not exist (${message}). Correct it in DATABASE_URL, or start it.`);
  if (message.includes('does not support SSL'))
    return permanent(`${server} does not offer TLS. Turn it on there (ssl = on), or remove sslmode from DATABASE_URL.`);
  if (certificateCodes.test(code))
    return permanent(
      `The certificate of ${server} is not accepted (${message}). Correct the host, sslmode and sslrootcert in DATABASE_URL.`,
    );
  if (message.includes('terminated unexpectedly') || message.includes('establishing an SSL'))
    return temporary(
      `${server} closes the connection (${message}). Check that the host and port in DATABASE_URL are those of Postgres.`,
    );
  if (message.includes('timeout'))
    return temporary(`${server} does not respond in time. Check the host and port in DATABASE_URL, and the network.`);
  if (code === 'ECONNREFUSED')
    return temporary(`${server} is not running (${message}). Start it, or correct the host and port in DATABASE_URL.`);
  return temporary(`${server} is unavailable: ${message}`);
}

/** Connects once. @throws StartupError if only the operator can help, DatabaseUnavailable if Postgres may become available */
export async function requireConnection(pool: Pool, url: string): Promise<void> {
  try {
    (await pool.connect()).release();
  } catch (cause) {
    const { sentence, isPermanent } = describeConnectionError(cause, url);
    throw isPermanent ? new StartupError(sentence, { cause }) : new DatabaseUnavailable(sentence, { cause });
  }
}

/** Translates the error of a statement that the role is not allowed to run; undefined for other errors. */
export function permissionErrorOf(error: unknown): StartupError | undefined {
  const text = error instanceof Error ? error.message : '';
  const [denied] = /permission denied for [^\n`]+/.exec(/\b42501\b/.test(text) ? text : '') ?? [];
  return denied === undefined
    ? undefined
    : new StartupError(
        `The role in DATABASE_URL lacks a right (${denied}). Use the role that owns the tables, or grant it SELECT, INSERT, UPDATE and DELETE on all of them.`,
        { cause: error },
      );
}
