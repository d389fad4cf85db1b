import { makeApp } from '../app.ts';
import { loadConfig } from '../config.ts';
import { toYaml } from '../features/openapi/openapi.endpoints.ts';
import { openInfrastructure } from '../infrastructure.ts';
import { systemClock } from '../lib/clock.ts';
import { makeLogger } from '../platform/log.ts';
import { type Command, refuseMore } from './command.ts';

/** Returns the OpenAPI document of an app with the default configuration. The app is never started, so nothing connects. */
export async function makeOpenApiYaml(): Promise<string> {
  const environment = { DATABASE_URL: 'postgresql://nowhere', MASTER_KEYS: Buffer.alloc(32).toString('base64url') };
  const config = await loadConfig('development', {}, environment);
  const log = makeLogger({ level: 'silent', pretty: false });
  const infrastructure = openInfrastructure(config, log);
  return toYaml(makeApp({ config, infrastructure, log, clock: systemClock, blocklist: new Set() }).openApi());
}

export const openapi: Command = {
  async run(args, { stdout }) {
    refuseMore(args);
    stdout.write(await makeOpenApiYaml());
  },
};
