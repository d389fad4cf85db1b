// The table of what clients noticed of each fault.
import type { Observation } from './fault-observers.ts';

interface Observed {
  name: string;
  /** The section, with a quiet time before and after the fault. */
  fromMs: number;
  faultFromMs: number;
  faultToMs: number;
  toMs: number;
  /** How often HAProxy took a process out of service. */
  downs: number;
  /** The most connections to Postgres. */
  connections: number;
}

export type Section = Observed | { name: string; leftOut: string };

/** A response counts for the outage until this time after it. */
export const boundMs = 2000;

const kindsInColumns = new Set<Observation['kind']>([
  'refreshed',
  'unavailable',
  'logged out',
  'readyz failed',
  'jwks failed',
]);

/** The longest time without a refreshed token anywhere. */
function longestGapMs(observations: readonly Observation[], { fromMs, toMs }: Observed): number {
  const times = [fromMs, ...observations.filter(({ kind }) => kind === 'refreshed').map(({ atMs }) => atMs), toMs];
  return Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? time)));
}

function otherFailures(observations: readonly Observation[]): string {
  const counts = new Map<string, number>();
  for (const { kind, detail = '' } of observations)
    if (!kindsInColumns.has(kind)) {
      const text = kind === 'gave up' ? `gave up: ${detail}` : detail;
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
  return counts.size === 0 ? '0' : [...counts].map(([text, count]) => `${count} ${text}`).join(', ');
}

function rowOf(section: Observed, all: readonly Observation[]): string[] {
  const observations = all.filter(({ atMs }) => atMs >= section.fromMs && atMs < section.toMs);
  const isOutage = ({ atMs }: Observation) => atMs >= section.faultFromMs && atMs <= section.faultToMs + boundMs;
  const count = (kind: Observation['kind'], isCounted: (each: Observation) => boolean = () => true) =>
    String(observations.filter((each) => each.kind === kind && isCounted(each)).length);
  const requests = observations.filter(
    ({ kind }) => !['gave up', 'readyz failed', 'jwks failed'].includes(kind),
  ).length;
  return [
    section.name,
    `${((section.faultToMs - section.faultFromMs) / 1000).toFixed(1)} s`,
    String(requests),
    count('unavailable', isOutage),
    count('unavailable', (each) => !isOutage(each)),
    otherFailures(observations),
    count('logged out'),
    String(section.downs),
    count('readyz failed'),
    count('jwks failed'),
    `${(longestGapMs(observations, section) / 1000).toFixed(1)} s`,
    String(section.connections),
  ];
}

const head = [
  'fault',
  'lasted',
  'requests',
  '503 in it',
  '503 outside',
  'other failures',
  'wrong logouts',
  'out of service',
  '/readyz failed',
  'JWKS failed',
  'longest gap',
  'connections',
];

export function faultTable(
  sections: readonly Section[],
  observations: readonly Observation[],
  { clients, cores }: { clients: number; cores: number },
): string {
  const rows = sections.map((section) =>
    'leftOut' in section
      ? [section.name, `left out: ${section.leftOut}`, ...head.slice(2).map(() => '')]
      : rowOf(section, observations),
  );
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  const date = new Date().toISOString().slice(0, 10);
  const total = observations.filter(({ kind }) => kind === 'refreshed').length;
  return [
    `${clients} clients, ${total} refreshes, ${cores} cores, Node ${process.version}, ${date}.`,
    '',
    ...lines,
  ].join('\n');
}
