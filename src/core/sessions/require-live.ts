import { InvalidAccessToken } from '../../http/refusals.ts';

/**
 * What a store found or did for the holder of a live session; undefined means that the session has ended, however good
 * the access token still looks. @throws InvalidAccessToken
 */
export function requireLive<Found>(found: Found | undefined): Found {
  if (found === undefined) throw new InvalidAccessToken('session ended');
  return found;
}
