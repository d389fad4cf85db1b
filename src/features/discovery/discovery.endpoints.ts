import type { PublicJwk } from '../../core/signing-keys/signing-key.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../lib/errors.ts';
import { JwkSet, makeMetadata, Metadata, toJwkSet } from './discovery.ts';

export interface DiscoveryDeps {
  issuer: string;
  /** The issuer without a trailing slash. */
  baseUrl: string;
  scopes: readonly string[];
  grantTypes: readonly string[];
  jwksMaxAgeSeconds: number;
  keyring: { published: () => readonly PublicJwk[]; algs: () => string[] };
}

export function discoveryEndpoints(deps: DiscoveryDeps): Endpoint[] {
  const { issuer, baseUrl, scopes, grantTypes, jwksMaxAgeSeconds, keyring } = deps;
  const metadata = makeMetadata(issuer, baseUrl, scopes, grantTypes);
  const common = {
    method: 'get',
    tag: 'Discovery',
    headers: { 'Cache-Control': `public, max-age=${jwksMaxAgeSeconds}, stale-while-revalidate=${jwksMaxAgeSeconds}` },
    publicCors: true,
    cacheable: true,
  } as const;
  const metadataEndpoint = (path: string, operationId: string) =>
    endpoint({
      ...common,
      path,
      operationId,
      summary: 'Get the metadata of the authorization server',
      response: Metadata,
      handle: () => metadata,
    });
  const issuerPath = new URL(baseUrl).pathname.replace(/^\/$/, '');
  return [
    endpoint({
      ...common,
      path: '/.well-known/jwks.json',
      operationId: 'getJwks',
      summary: 'Get the keys that verify access tokens',
      response: JwkSet,
      contentType: 'application/jwk-set+json',
      errors: [NotReady],
      handle: () => toJwkSet(keyring.published()),
    }),
    metadataEndpoint('/.well-known/oauth-authorization-server', 'getAuthorizationServerMetadata'),
    // RFC 8414 section 3.1: the well-known path precedes the issuer's own path.
    ...(issuerPath
      ? [
          metadataEndpoint(
            `/.well-known/oauth-authorization-server${issuerPath}`,
            'getAuthorizationServerMetadataAtPath',
          ),
        ]
      : []),
    endpoint({
      ...common,
      path: '/.well-known/openid-configuration',
      operationId: 'getOpenidConfiguration',
      summary: 'Read the same metadata where OpenID Connect libraries expect it',
      response: Metadata,
      handle: () => ({
        ...metadata,
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: keyring.algs(),
      }),
    }),
  ];
}
