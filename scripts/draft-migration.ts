// npm run migration -- add-nicknames: drafts a migration from the existing ones to prisma/schema.prisma.
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { NOTHING_PENDING, pendingSql } from './schema-engine.ts';

const migrationsFolder = 'prisma/migrations';

const name = (process.argv[2] ?? '')
  .toLowerCase()
  .match(/[a-z0-9]+/g)
  ?.join('_');
if (!name) {
  console.error('Error: The name of the migration is missing. Run npm run migration -- add-nicknames');
  process.exit(2);
}

const directory = await mkdtemp(join(tmpdir(), 'keyturn-draft-'));
const postgres = await startEmbeddedPostgres({ directory, durable: false });
const sql = await pendingSql(postgres.url, 'prisma/schema.prisma', migrationsFolder).finally(() => postgres.stop());

if (sql === NOTHING_PENDING) {
  console.log('The migrations already create prisma/schema.prisma. Nothing to draft.');
} else {
  const timestamp = new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14);
  const folder = join(migrationsFolder, `${timestamp}_${name}`);
  await mkdir(folder);
  await writeFile(join(folder, 'migration.sql'), `${sql}\n`, { flag: 'wx' });
  console.log(
    `Drafted ${join(folder, 'migration.sql')}. Review it: a renamed column appears as one dropped and one added column. ` +
      'Write CHECK constraints, triggers, functions and partial indexes yourself.',
  );
}
