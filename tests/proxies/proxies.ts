// The proxies of deploy/proxies, with their own configuration. Only the addresses, the ports and the paths of files are changed.
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from '../support/certificate.ts';
import { findProgram, type WantedProgram } from '../support/debian-program.ts';
import { freePort } from '../support/free-port.ts';

export const hostName = 'auth.example.com';
export const certificate = makeCertificate(hostName);

interface ProxyKind extends Pick<WantedProgram, 'versionFlag'> {
  name: 'nginx' | 'haproxy' | 'caddy';
  file: string;
  /** Replacements of texts that the file contains. */
  changes(folder: string, port: number, logPort: number): Record<string, string>;
  args(file: string, folder: string): string[];
}

const kinds: readonly ProxyKind[] = [
  {
    name: 'nginx',
    file: 'nginx.conf',
    versionFlag: '-v',
    changes: (folder, port) => ({
      'listen 443 ': `listen 127.0.0.1:${port} `,
      'listen [::]:443 ssl http2;': '', // not every machine has IPv6
      '/var/log/nginx': folder,
      '/run/nginx.pid': `${folder}/nginx.pid`,
      // Debian's folders, which only an installed nginx has
      'http {': `http { ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`).join(' ')}`,
    }),
    args: (file, folder) => [
      `-p${folder}`,
      `-e${folder}/start.log`,
      `-c${file}`,
      `-gdaemon off;${process.getuid?.() === 0 ? 'user root;' : ''}`,
    ],
  },
  {
    name: 'haproxy',
    file: 'haproxy.cfg',
    versionFlag: '-v',
    changes: (folder, port, logPort) => ({
      'bind :443': `bind 127.0.0.1:${port}`,
      '/dev/log': `127.0.0.1:${logPort}`,
      '/run/haproxy/admin.sock': `${folder}/admin.sock`,
    }),
    args: (file) => ['-f', file],
  },
  {
    name: 'caddy',
    file: 'Caddyfile',
    versionFlag: 'version',
    changes: (_folder, port) => ({ [`${hostName} {`]: `https://${hostName}:${port} {\n\tbind 127.0.0.1` }),
    args: (file) => ['run', '--config', file, '--adapter', 'caddyfile'],
  },
];

export const proxyNames = kinds.map(({ name }) => name);
export type ProxyName = ProxyKind['name'];

export interface Proxy {
  name: ProxyName;
  port: number;
  folder: string;
  /** What it has printed and logged. */
  output(): Promise<string>;
  stop(): Promise<void>;
}

/** The processes that the files name. */
const documentedPorts = [3001, 3002, 3003];

async function writeConfig(file: string, folder: string, ports: readonly number[], changes: Record<string, string>) {
  let text = await readFile(join('deploy/proxies', file), 'utf8');
  const replacements = {
    ...Object.fromEntries(
      documentedPorts.map((documented, index) => [`127.0.0.1:${documented}`, `127.0.0.1:${ports[index]}`]),
    ),
    '/etc/keyturn/tls': folder,
    ...changes,
  };
  for (const [from, to] of Object.entries(replacements)) {
    if (!text.includes(from)) throw new Error(`deploy/proxies/${file} does not contain ${from}`);
    text = text.replaceAll(from, to);
  }
  await writeFile(join(folder, file), text);
  return join(folder, file);
}

async function waitUntilListening(child: ChildProcess, port: number): Promise<boolean> {
  for (let tries = 0; tries < 400 && child.exitCode === null; tries += 1) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return true;
    await sleep(25);
  }
  return false;
}

/** Starts a proxy in front of the processes on these ports. */
export async function startProxy(name: ProxyName, ports: readonly number[]): Promise<Proxy> {
  const kind = kinds.find((each) => each.name === name) as ProxyKind;
  const advice = `Install ${name}.`;
  const { program, env } = await findProgram({
    debianPackage: name,
    names: [name],
    versionFlag: kind.versionFlag,
    advice,
  });
  const folder = await mkdtemp(join(tmpdir(), `keyturn-${name}-`));
  await chmod(folder, 0o755);
  for (const [file, text] of Object.entries({
    'cert.pem': certificate.cert,
    'key.pem': certificate.key,
    'haproxy.pem': certificate.cert + certificate.key,
  }))
    await writeFile(join(folder, file), text);
  const port = await freePort();
  const printed: string[] = [];
  const syslog = createSocket('udp4', (message) => printed.push(message.toString())).bind(0, '127.0.0.1');
  await once(syslog, 'listening');
  const replacements = kind.changes(folder, port, syslog.address().port);
  const args = kind.args(await writeConfig(kind.file, folder, ports, replacements), folder);
  const child = spawn(program, args, {
    env: { ...env, PATH: process.env['PATH'] ?? '', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  const stopped = once(child, 'exit');
  const output = async () => {
    const files = await Promise.all(
      ['start.log', 'error.log', 'access.log'].map((file) => readFile(join(folder, file), 'utf8').catch(() => '')),
    );
    return [...printed, ...files].join('');
  };
  if (!(await waitUntilListening(child, port))) throw new Error(`${name} does not listen:\n${await output()}`);
  return {
    name,
    port,
    folder,
    output,
    async stop() {
      child.kill('SIGTERM');
      await stopped;
      syslog.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
