// Starts `main`, `dev` or `cli`. libuv sizes its thread pool once, at its first use, and to load an ES module is such a
// use: so the size is set here, in CommonJS, four above HASH_CONCURRENCY, and DNS and files never wait for hashes.
const { availableParallelism } = require('node:os');

const [name = 'main'] = process.argv.splice(2, 1);
const hashes = Number(process.env.HASH_CONCURRENCY) || Math.max(1, availableParallelism() - 1);
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, hashes + 4));

import(`../dist/${name}.js`).catch((error) => {
  process.stderr.write(
    `${error.code === 'ERR_MODULE_NOT_FOUND' ? `Run npm run build first: ${error.message}` : error.stack}\n`,
  );
  process.exitCode = 1;
});
