// TLS to Postgres, as the parameters of its URL request it. They mean what they mean for libpq.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { checkServerIdentity, type ConnectionOptions, createSecureContext } from 'node:tls';

/** The URL cannot be used. The message completes the sentence "DATABASE_URL …" and contains nothing secret. */
export class ConnectionUrlError extends Error {}

/** `ssl` is the older form of `pg`. */
export const tlsNames = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'ssl'];

type TlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

function tlsModeOf(parameters: ReadonlyMap<string, string>): TlsMode {
  const mode = parameters.get('sslmode') ?? modeOfSsl(parameters.get('ssl'));
  switch (mode) {
    case undefined: {
      const hasFile = parameters.has('sslrootcert') || parameters.has('sslcert') || parameters.has('sslkey');
      return hasFile ? 'verify-full' : 'disable';
    }
    case 'no-verify':
      return 'require';
    case 'require': // Prisma's sslaccept=strict adds the check of the certificate
      return parameters.get('sslaccept') === 'strict' ? 'verify-full' : mode;
    case 'allow':
    case 'prefer':
      throw new ConnectionUrlError(
        `must not have the sslmode ${mode}, which accepts a connection without TLS: ` +
          'use sslmode=require, or verify-full to check the certificate as well, or disable for a server without TLS',
      );
    case 'disable':
    case 'verify-ca':
    case 'verify-full':
      return mode;
    default:
      throw new ConnectionUrlError('must have the sslmode disable, require, verify-ca or verify-full');
  }
}

/** The meaning that `ssl` has for `pg`. */
function modeOfSsl(ssl: string | undefined): string | undefined {
  if (ssl === 'true' || ssl === '1') return 'verify-full';
  return ssl === 'false' || ssl === '0' ? 'disable' : ssl;
}

/**
 * Translates the parameters to Node's options with libpq's meaning: `require` encrypts, and checks the certificate's issuer only if
 * `sslrootcert` names one; `verify-ca` checks the issuer, `verify-full` also the host name.
 */
export function tlsOptions(parameters: ReadonlyMap<string, string>, url: URL): false | ConnectionOptions {
  const mode = tlsModeOf(parameters);
  const host = parameters.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  const isSocket = host.startsWith('/');
  if (mode === 'disable' || isSocket) return false;
  const rootFile = parameters.get('sslrootcert');
  if (rootFile === 'system' && mode !== 'verify-full')
    throw new ConnectionUrlError(
      'needs sslmode=verify-full with sslrootcert=system: anyone can get a certificate of a public authority',
    );
  if (mode === 'verify-ca' && rootFile === undefined)
    throw new ConnectionUrlError('needs sslrootcert with sslmode=verify-ca, or sslmode=verify-full');
  const ca = rootFile === undefined || rootFile === 'system' ? undefined : readRootCertificates(rootFile);
  const client = clientCertificate(parameters);
  const isVerified = ca !== undefined || mode === 'verify-full';
  return {
    ...client,
    ...(ca === undefined ? {} : { ca }),
    rejectUnauthorized: isVerified,
    checkServerIdentity: (_name, certificate) =>
      mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
  };
}

function readParameterFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new ConnectionUrlError(`has an ${name} that names a file that cannot be read`);
  }
}

function readRootCertificates(path: string): string {
  const pem = readParameterFile('sslrootcert', path);
  try {
    new X509Certificate(pem);
    return pem;
  } catch {
    throw new ConnectionUrlError('has an sslrootcert that names a file without a certificate in PEM format');
  }
}

function clientCertificate(
  parameters: ReadonlyMap<string, string>,
): Pick<ConnectionOptions, 'cert' | 'key' | 'passphrase'> {
  const [certFile, keyFile, passphrase] = ['sslcert', 'sslkey', 'sslpassword'].map((name) => parameters.get(name));
  if (certFile === undefined && keyFile === undefined) return {};
  if (certFile === undefined || keyFile === undefined)
    throw new ConnectionUrlError('needs both sslcert and sslkey for a client certificate');
  const pair = {
    cert: readParameterFile('sslcert', certFile),
    key: readParameterFile('sslkey', keyFile),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
  try {
    createSecureContext(pair);
    return pair;
  } catch {
    throw new ConnectionUrlError(
      'has an sslcert and an sslkey that do not belong together, are not in PEM format, or need another sslpassword',
    );
  }
}
