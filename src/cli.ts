import { parseArgs } from 'node:util';
import { migrate } from './cli/migrate.ts';
import { openapi } from './cli/openapi.ts';
import { explain } from './platform/shutdown.ts';

const usage = `Usage: npm run cli -- <command>

  migrate    apply the migrations that the database lacks
  openapi    print the OpenAPI document as YAML
`;

const commands: Record<string, () => Promise<void>> = { migrate, openapi };

const { positionals } = parseArgs({ allowPositionals: true });
const command = commands[positionals[0] ?? ''];
if (!command || positionals.length > 1) {
  process.stderr.write(usage);
  process.exit(2);
}
try {
  await command();
} catch (error) {
  process.stderr.write(`${explain(error)}
`);
  process.exit(1);
}
