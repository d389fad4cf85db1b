import { importJWK, type CryptoKey, type JWK } from 'jose';

/** A key of the issuer and the only algorithm that it is used with (RFC 8725 section 3.1). */
export interface VerificationKey {
  alg: string;
  key: CryptoKey;
}

export interface FetchedKeys {
  keys: Map<string, VerificationKey>;
  /** The `max-age` of the response. */
  maxAgeSeconds: number | undefined;
}

export type Fetch = (url: string, options: { signal: AbortSignal; redirect: 'error' }) => Promise<Response>;

export interface KeySource {
  issuer: string;
  /** If undefined, taken from the issuer's metadata. */
  jwksUri: string | undefined;
  timeoutMs: number;
  fetch: Fetch;
}

type Json = Record<string, unknown>;

async function get({ fetch, timeoutMs }: KeySource, url: string) {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' });
  if (response.status !== 200) throw new Error(`${url} responded with ${response.status}`);
  return { body: (await response.json()) as Json, headers: response.headers };
}

/** RFC 8414 section 3.1: the well-known path comes between the host and the path of the issuer. */
function metadataUrl(issuer: string): string {
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`;
}

async function discover(source: KeySource): Promise<string> {
  const { issuer, jwks_uri: jwksUri } = (await get(source, metadataUrl(source.issuer))).body;
  // RFC 8414 section 3.3: prevents a server from impersonating another issuer.
  if (issuer !== source.issuer) throw new Error(`The metadata of ${source.issuer} has a different issuer`);
  if (typeof jwksUri !== 'string') throw new Error(`The metadata of ${source.issuer} has no jwks_uri`);
  if (new URL(source.issuer).protocol === 'https:' && new URL(jwksUri).protocol !== 'https:')
    throw new Error(`The jwks_uri of ${source.issuer} is not https`);
  return jwksUri;
}

/** Returns undefined unless the key is a public signature key with an `alg`. A symmetric key could also sign. */
async function importKey(jwk: JWK | null): Promise<[string, VerificationKey] | undefined> {
  const { kid, alg, use = 'sig' } = jwk ?? {};
  if (!jwk || !kid || !alg || use !== 'sig') return undefined;
  const key = await importJWK(jwk, alg).catch(() => undefined);
  return key === undefined || key instanceof Uint8Array || key.type !== 'public' ? undefined : [kid, { alg, key }];
}

/** Fetches the issuer's keys. @throws if the response is not a JWK Set with at least one usable key */
export async function fetchKeys(source: KeySource): Promise<FetchedKeys> {
  const { body, headers } = await get(source, source.jwksUri ?? (await discover(source)));
  if (!Array.isArray(body['keys'])) throw new Error('The response is not a JWK Set');
  const imported = await Promise.all((body['keys'] as (JWK | null)[]).map(importKey));
  const keys = new Map(imported.filter((entry) => entry !== undefined));
  if (keys.size === 0) throw new Error('The JWK Set contains no usable key');
  const [, maxAge] = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(headers.get('cache-control') ?? '') ?? [];
  return { keys, maxAgeSeconds: maxAge === undefined ? undefined : Number(maxAge) };
}
