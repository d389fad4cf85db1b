/** What each verifier said in each case, for people: `npm run test:interop` prints it at the end. */
export function makeTable() {
  const rows = new Map<string, Map<string, string>>();
  const notes: string[] = [];
  return {
    /** `said` are the statuses that were answered, and `right` the one that they should be. */
    record(row: string, column: string, said: readonly (number | string)[], right: boolean) {
      const cells = rows.get(row) ?? new Map<string, string>();
      cells.set(column, `${[...new Set(said)].join('/')}${right ? '' : ' WRONG'}`);
      rows.set(row, cells);
    },
    note: (line: string) => void notes.push(line),
    print(columns: readonly string[]) {
      const width = Math.max(...[...rows.keys()].map((row) => row.length));
      const lines = [...rows].map(([row, cells]) =>
        [row.padEnd(width), ...columns.map((column) => (cells.get(column) ?? 'not run').padEnd(column.length))].join(
          ' | ',
        ),
      );
      process.stdout.write(
        `\n${[''.padEnd(width), ...columns].join(' | ')}\n${lines.join('\n')}\n\n${notes.join('\n')}\n\n`,
      );
    },
  };
}
