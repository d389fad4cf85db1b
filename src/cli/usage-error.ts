/** The arguments are none that the command knows: its usage is the answer. */
export class UsageError extends Error {}
