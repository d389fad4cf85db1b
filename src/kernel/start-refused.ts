/** A process that cannot start, for a reason that its message tells the operator; a stack would only hide it. */
export class StartRefused extends Error {}
