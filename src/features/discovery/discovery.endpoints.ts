import type { PublicJwk } from '../../core/signing-keys/signing-key.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../lib/errors.ts';
import { JwkSet, makeMetadata, Metadata, toJwkSet } from './discovery.ts';

export interface DiscoveryDeps {
  issuer: string;
  baseUrl: string;
  scopes: readonly string[];
  grantTypes: readonly string[];
  jwksMaxAgeSeconds: number;
  keyring: { published: () => readonly PublicJwk[]; algs: () => string[] };
}

const tag = 'Discovery';

export const discovery = ({ issuer, baseUrl, scopes, grantTypes, jwksMaxAgeSeconds, keyring }: DiscoveryDeps) => {
  const metadata = makeMetadata(issuer, baseUrl, scopes, grantTypes);
  const maxAge = `public, max-age=${jwksMaxAgeSeconds}, stale-while-revalidate=${jwksMaxAgeSeconds}`;
  const headers = { 'Cache-Control': maxAge };
  const issuerPath = new URL(baseUrl).pathname.replace(/^\/$/, '');
  const asDocument = (path: string, operationId: string) =>
    endpoint({
      method: 'get',
      path,
      operationId,
      tag,
      summary: 'Metadata of the authorization server',
      response: Metadata,
      headers,
      publicCors: true,
      cacheable: true,
      handle: () => metadata,
    });
  return [
    endpoint({
      method: 'get',
      path: '/.well-known/jwks.json',
      operationId: 'getJwks',
      tag,
      summary: 'The keys to verify access tokens with',
      response: JwkSet,
      contentType: 'application/jwk-set+json',
      headers,
      publicCors: true,
      cacheable: true,
      errors: [NotReady],
      handle: () => toJwkSet(keyring.published()),
    }),
    asDocument('/.well-known/oauth-authorization-server', 'getAuthorizationServerMetadata'),
    // RFC 8414 section 3.1: the well-known path stands between the host and the issuer's own path.
    ...(issuerPath
      ? [asDocument(`/.well-known/oauth-authorization-server${issuerPath}`, 'getAuthorizationServerMetadataAtPath')]
      : []),
    endpoint({
      method: 'get',
      path: '/.well-known/openid-configuration',
      operationId: 'getOpenidConfiguration',
      tag,
      summary: 'The same metadata, where OpenID Connect libraries look for it',
      response: Metadata,
      headers,
      publicCors: true,
      cacheable: true,
      handle: () => ({
        ...metadata,
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: keyring.algs(),
      }),
    }),
  ];
};
