import { findProgram, type InstalledProgram, type Places } from './debian-program.ts';

/** Finds the Redis server of the tests. */
export const findRedis = (places: Places = {}): Promise<InstalledProgram> =>
  findProgram(
    {
      debianPackage: 'redis-server',
      names: ['redis-server', 'valkey-server'],
      versionFlag: '--version',
      advice: 'Install redis-server or valkey-server, or set REDIS_URL for the tests that share a Redis.',
    },
    places,
  );
