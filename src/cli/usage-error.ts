/** The arguments are invalid. The command line prints the usage and exits with 2. */
export class UsageError extends Error {}
