// Serves the example: `npm run example:spa` or `node examples/spa/serve.js [URL of the service]`.
// Without a URL, it uses the service that `npm run dev` runs in the same folder, or http://localhost:3000.
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const service = process.argv[2] ?? findDevelopmentService() ?? 'http://localhost:3000';
const port = Number(process.env.PORT || 5173);
const folder = (path) => fileURLToPath(new URL(path, import.meta.url));
const clientFolder = folder('../../dist/client');
const types = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' };

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** `npm run dev` writes this file and removes it at its end. */
function findDevelopmentService() {
  try {
    return JSON.parse(readFileSync('.data/instance.json', 'utf8')).issuer;
  } catch {
    return undefined;
  }
}

if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) fail('PORT must be a whole number from 0 to 65535.');
if (!URL.canParse(service)) fail(`Not a URL: ${service}. Pass the one of the service, such as http://localhost:3000`);
if (!existsSync(clientFolder)) fail('keyturn/client is not built yet. Run: npm install && npm run build');

/** Only the files of the app and of the client; no path can leave their folders. */
function fileOf(path) {
  const [, name] = /^\/keyturn-client\/([\w-]+\.js)$/.exec(path) ?? [];
  if (name) return `${clientFolder}/${name}`;
  return ['/index.html', '/app.js', '/app.css'].includes(path) ? folder(`.${path}`) : undefined;
}

const server = createServer((req, res) => {
  const { pathname } = new URL(req.url, 'http://localhost');
  const path = pathname === '/' ? '/index.html' : pathname;
  const headers = { 'Content-Type': `${types[extname(path)]}; charset=utf-8`, 'Cache-Control': 'no-store' };
  if (path === '/config.js')
    return res.writeHead(200, headers).end(`export const service = ${JSON.stringify(service)};\n`);
  const file = fileOf(path);
  if (!file || !existsSync(file)) return res.writeHead(404).end();
  createReadStream(file).pipe(res.writeHead(200, headers));
});

server.on('error', (error) => fail(error.code === 'EADDRINUSE' ? `Port ${port} is in use. Set PORT.` : String(error)));
server.listen(port, 'localhost', () => {
  const origin = `http://localhost:${server.address().port}`;
  const advice = `\`npm run dev\` allows this page; another service needs ${origin} in CORS_ORIGINS.`;
  console.log(`Open ${origin}. The service is ${service}.\n${advice}`);
});
