// npm test [-- jest arguments]. Without arguments, runs four shards in separate processes, because jest never releases the ES modules
// that tests load, and all of them exceed the heap.
import { spawnSync } from 'node:child_process';

const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const args = process.argv.slice(2);
const parts = args.length > 0 ? [args] : [1, 2, 3, 4].map((part) => [`--shard=${part}/4`]);

let status = 0;
for (const part of parts) {
  const run = spawnSync(process.execPath, [...jest, ...part], { stdio: 'inherit' });
  if (run.status !== 0) status = run.status ?? 1;
}
process.exit(status);
