// npm run bench:availability [-- --clients 100] [--pause 4] [--only NAME] [--write docs/availability.md]: what clients notice of faults.
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { startDeployment } from './support/deployment.ts';
import { startObserver } from './support/fault-observers.ts';
import { faultTable, type Section } from './support/fault-report.ts';

const { values: options } = parseArgs({
  options: {
    clients: { type: 'string', default: '100' },
    /** Seconds between two refreshes of a client. The grace period of 30 s has room for eight rotations. */
    pause: { type: 'string', default: '4' },
    only: { type: 'string', default: '' },
    write: { type: 'string' },
  },
});
const [quietBeforeMs, quietAfterMs] = [5000, 9000];
const print = (text: string) => void process.stdout.write(`${text}\n`);

if (process.platform !== 'linux') throw new Error('connections are read from /proc, so this runs on Linux only');
const deployment = await startDeployment(Number(options.clients));
const observer = startObserver({ ...deployment, pauseMs: Number(options.pause) * 1000 });

async function observe(name: string, inject: () => Promise<void>): Promise<Section> {
  const fromMs = performance.now();
  const downsBefore = await observer.countDowns();
  observer.takeMaxConnections();
  await sleep(quietBeforeMs);
  const faultFromMs = performance.now();
  await inject();
  const faultToMs = performance.now();
  await sleep(quietAfterMs);
  const downs = (await observer.countDowns()) - downsBefore;
  const connections = observer.takeMaxConnections();
  return { name, fromMs, faultFromMs, faultToMs, toMs: performance.now(), downs, connections };
}

const sections: Section[] = [];
for (const [name, inject] of Object.entries(deployment.faults)) {
  if (!name.includes(options.only)) continue;
  print(`${name} …`);
  sections.push(typeof inject === 'string' ? { name, leftOut: inject } : await observe(name, inject));
}
await observer.stop();
await deployment.stop();

const setup = { clients: deployment.tokens.length, cores: availableParallelism() };
const report = faultTable(sections, observer.observations, setup);
print(`\n${report}`);
if (options.write !== undefined) {
  const page = readFileSync(options.write, 'utf8');
  const [begin, end] = ['<!-- table -->', '<!-- end of table -->'];
  const [before, , after] = page.split(/<!-- (?:end of )?table -->/);
  if (after === undefined) throw new Error(`${options.write} does not contain ${begin} and ${end}`);
  const filled = [before, begin, '\n\n', report, '\n\n', end, after].join('');
  const style = { ...(await resolveConfig(options.write)), parser: 'markdown' };
  writeFileSync(options.write, await format(filled, style));
}
process.exit(0); // the database may still be connected through the address of the primary
