// Why Postgres is unavailable, in words and with what an operator can do about it.

/** An error of this process: it stopped waiting for Postgres. The outcome of a statement that was sent is unknown. */
export class PoolError extends Error {
  readonly why: 'pool_exhausted' | 'no_response' | 'not_replicated' | 'access_denied';

  constructor(why: PoolError['why'], message: string) {
    super(message);
    this.why = why;
  }
}

/** Codes of Node and OpenSSL for a certificate that is not accepted. */
export const certificateCodes = /^(ERR_TLS_CERT|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

interface Reason {
  /** Beginnings of SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html) and codes of Node. */
  codes: RegExp;
  advice: string;
}

/** The first match counts. Connection exceptions (08) come last, because poolers report everything as 08P01. */
const reasons = {
  connection_refused: {
    codes: /^(ECONNREFUSED|ENOENT)$/,
    advice: 'Postgres does not accept connections. Check that it runs at the address of DATABASE_URL.',
  },
  unreachable: {
    codes: /^(ENOTFOUND|EAI_|ETIMEDOUT|EHOST|ENET|EADDRNOTAVAIL)/,
    advice: 'The host of DATABASE_URL cannot be reached. Check DNS, the network and firewalls.',
  },
  restarting: {
    codes: /^57P0/,
    advice: 'Postgres is starting, shutting down or recovering, or an administrator ended the connection.',
  },
  too_many_connections: {
    codes: /^53300/,
    advice: 'Postgres has no connection left. Decrease DATABASE_POOL_MAX or increase max_connections.',
  },
  disk_full: { codes: /^53100/, advice: 'The disk of Postgres is full. Free space or enlarge it.' },
  out_of_resources: { codes: /^53/, advice: 'Postgres is out of memory or another resource. See its log.' },
  io_error: { codes: /^58/, advice: 'Postgres cannot read or write its files. See its log and check the disk.' },
  statement_timeout: {
    codes: /^57014/,
    advice: 'A statement took longer than DATABASE_TIMEOUT, or an administrator canceled it. Check the load and locks.',
  },
  lock_timeout: {
    codes: /^55P03/,
    advice: 'A statement waited too long for a lock. Look for long transactions in pg_stat_activity.',
  },
  deadlock: { codes: /^40/, advice: 'Transactions blocked each other, and Postgres ended one. Clients repeat it.' },
  read_only: {
    codes: /^25006/,
    advice: 'Postgres is read-only: a standby, or a provider locked it. Point DATABASE_URL at the primary.',
  },
  idle_in_transaction: {
    codes: /^25P03/,
    advice: 'Postgres ended a transaction in which this process was idle. Check the CPU of this process.',
  },
  access_denied: {
    codes: /^(28|3D000)/,
    advice: 'Postgres refuses the login. Check the user, password and database of DATABASE_URL, and pg_hba.conf.',
  },
  not_migrated: { codes: /^42P01/, advice: 'A table is missing. Run npm run db:migrate.' },
  tls: {
    codes: new RegExp(`^(ERR_SSL|ERR_TLS)|${certificateCodes.source}`),
    advice: 'The TLS handshake with Postgres failed. Check sslmode and certificates.',
  },
  connection_lost: {
    codes: /^(08|ECONNRESET|EPIPE|ECONNABORTED)/,
    advice: 'The connection ended. Check the network, poolers and the log of Postgres.',
  },
  pool_exhausted: {
    codes: /^$/,
    advice:
      'No connection became free within DATABASE_TIMEOUT. Increase DATABASE_POOL_MAX, or look for slow statements.',
  },
  no_response: {
    codes: /^$/,
    advice:
      'Postgres did not answer within DATABASE_TIMEOUT. It hangs, or a commit waits for a synchronous standby: see pg_stat_replication.',
  },
  not_replicated: {
    codes: /^$/,
    advice: 'A commit was not confirmed by the synchronous standby. Check it in pg_stat_replication.',
  },
} satisfies Record<string, Reason>;

export type Cause = keyof typeof reasons;

export const causes = Object.keys(reasons) as Cause[];

/** Says what the cause is and what to do about it. */
export const adviceOn = (cause: Cause): string => reasons[cause].advice;

/** Errors of `pg` without a code. */
const messages: [pattern: RegExp, cause: Cause][] = [
  [/connection timeout|timeout expired/i, 'unreachable'],
  [/connection terminated|connection error|not queryable/i, 'connection_lost'],
  [/does not support SSL|establishing an SSL/i, 'tls'],
];

/** The SQLSTATE, or the code of Node. */
export const codeOf = (error: unknown): string | undefined => {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
};

/** Returns why Postgres is unavailable; undefined if `error` is of another kind, such as a violated constraint. */
export function causeOf(error: unknown): Cause | undefined {
  if (error instanceof PoolError) return error.why;
  const code = codeOf(error);
  if (code === undefined) {
    const { message } = error as { message?: unknown };
    return messages.find(([pattern]) => pattern.test(String(message)))?.[1];
  }
  return causes.find((cause) => reasons[cause].codes.test(code));
}

/**
 * Returns the error of a connection that could not be opened. If its code means something else for a statement, such as 42501 (the role
 * may not connect), or if it has none, the login was refused.
 */
export const connectionError = (error: Error): Error =>
  causeOf(error) === undefined
    ? Object.assign(new PoolError('access_denied', error.message), { code: codeOf(error), cause: error })
    : error;

/** Causes that waiting cannot fix: the operator must change something. */
const permanentCauses: ReadonlySet<Cause> = new Set(['access_denied', 'tls']);

/** Whether connecting again soon may succeed. Nothing was executed on a connection that failed to open. */
export function isTransient(error: unknown): boolean {
  const cause = causeOf(error);
  return cause !== undefined && !permanentCauses.has(cause);
}
