// How every connection to Postgres is made: what the URL can contain, and the settings of the session.
import type pg from 'pg';
import { ConnectionUrlError, tlsNames, tlsOptions } from './tls.ts';

export { ConnectionUrlError };

/** Limits that Postgres enforces; 0 is none. */
export interface ServerTimeouts {
  statementMs: number;
  idleInTransactionMs: number;
}

export const noTimeouts: ServerTimeouts = { statementMs: 0, idleInTransactionMs: 0 };

/** Parameters that `pg` reads from the URL. */
const passedOn = ['host', 'port', 'user', 'password', 'application_name'];
/**
 * Parameters of libpq, `pg` and Prisma that the service has its own settings for. They change neither the database nor the protection
 * of the connection, so they are ignored.
 */
const ignored = [
  'client_encoding',
  'connect_timeout',
  'connection_limit',
  'fallback_application_name',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'pgbouncer',
  'pool_timeout',
  'query_timeout',
  'socket_timeout',
  'sslnegotiation',
  'statement_cache_size',
  'statement_timeout',
  'tcp_user_timeout',
  'uselibpqcompat',
];
/** The values of other parameters that the service satisfies. */
const supportedValues = {
  channel_binding: ['disable', 'prefer', 'require'],
  gssencmode: ['disable', 'prefer'],
  sslaccept: ['strict'],
  target_session_attrs: ['any', 'read-write', 'primary'],
};
const knownNames = new Set([
  ...passedOn,
  ...tlsNames,
  ...ignored,
  ...Object.keys(supportedValues),
  'schema',
  'options',
]);

/** A parsed URL of Postgres. */
export interface ConnectionUrl {
  /** The schema of the service's tables. */
  schema: string;
  /** Whether the connection is encrypted without a check of the server's certificate. */
  isUnverified: boolean;
  /** What `pg` needs to connect. */
  client: Pick<pg.ClientConfig, 'connectionString' | 'ssl' | 'options' | 'enableChannelBinding'>;
}

/** Parses a URL of Postgres and reads the certificates that it names. @throws ConnectionUrlError */
export function parseConnectionUrl(text: string): ConnectionUrl {
  const url = new URL(text);
  const parameters = new Map(url.searchParams);
  const unknown = [...parameters.keys()].filter((name) => !knownNames.has(name));
  if (unknown.length > 0)
    throw new ConnectionUrlError(`has a parameter that the service does not support: ${unknown.join(', ')}. Remove it`);
  for (const [name, values] of Object.entries(supportedValues))
    if (!values.includes(parameters.get(name) ?? values[0] ?? ''))
      throw new ConnectionUrlError(`must have no ${name} or one of: ${values.join(', ')}`);
  const schema = parseSchema(schemaOf(url));
  const ssl = tlsOptions(parameters, url);
  const channelBinding = parameters.get('channel_binding') ?? 'disable';
  // `pg` cannot insist on it. Without it, only the certificate shows who responds.
  if (channelBinding === 'require' && (ssl === false || ssl.rejectUnauthorized === false))
    throw new ConnectionUrlError(
      'needs sslmode=verify-full with channel_binding=require, which the service enforces only by checking the certificate',
    );
  const options = parameters.get('options');
  if (options?.includes('search_path'))
    // the service sets its own
    throw new ConnectionUrlError('must not set search_path in options. Use schema=… instead');
  for (const name of parameters.keys()) if (!passedOn.includes(name)) url.searchParams.delete(name);
  const connectionString = parameters.size === 0 ? text : url.href;
  return {
    schema,
    isUnverified: ssl !== false && ssl.rejectUnauthorized === false,
    client: {
      connectionString,
      ssl,
      enableChannelBinding: channelBinding !== 'disable', // if the server offers it
      ...(options === undefined ? {} : { options }),
    },
  };
}

/** The schema that a URL names, also if the service rejects the URL. */
export const schemaOf = (url: URL): string => new Map(url.searchParams).get('schema') ?? 'public';

/** Prisma writes the name between double quotes and does not escape it. */
function parseSchema(schema: string): string {
  if (schema !== '' && Buffer.byteLength(schema) <= 63 && !/["\0]/.test(schema)) return schema;
  throw new ConnectionUrlError('must have a schema of 1 to 63 bytes without double quotes');
}

/** Backslashes escape white space in the startup packet's `options`. */
const option = (name: string, value: string | number): string =>
  `-c ${name}=${String(value).replaceAll(/[\\\s]/g, String.raw`\$&`)}`;

/**
 * The settings that the service depends on, whatever the defaults of the server, the database and the role are. The driver writes
 * and reads times without a zone, which are UTC only in a UTC session.
 */
const sessionSettings = {
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: 1,
  array_nulls: 'on',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  lock_timeout: 0,
  idle_session_timeout: 0,
} as const;

/** The parameters of a connection to Postgres itself, with the settings of the session. @throws ConnectionUrlError */
export function directConnection(url: string, timeouts: ServerTimeouts): pg.ClientConfig {
  const { client, schema } = parseConnectionUrl(url);
  const settings = {
    ...sessionSettings,
    search_path: `"${schema}"`,
    statement_timeout: timeouts.statementMs,
    idle_in_transaction_session_timeout: timeouts.idleInTransactionMs,
  };
  const own = Object.entries(settings).map(([name, value]) => option(name, value));
  return { ...client, options: [client.options ?? '', ...own].join(' ').trim() };
}

/** The parameters of a connection through a pooler, which rejects settings. @throws ConnectionUrlError */
export const pooledConnection = (url: string): pg.ClientConfig => parseConnectionUrl(url).client;
