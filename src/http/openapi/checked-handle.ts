import { ApiError } from '../../lib/errors.ts';
import type { Endpoint } from '../endpoint.ts';
import { errorsOf } from './responses.ts';
import { returnedParts, schemaOf } from '../response.ts';

/** For tests: calls the handler and checks that its outcome is declared. */
export async function checkedHandle(endpoint: Endpoint, input: Parameters<Endpoint['handle']>[0]): Promise<unknown> {
  try {
    const returned = await endpoint.handle(input);
    const { status, body } = returnedParts(endpoint, returned);
    schemaOf(endpoint, status)?.parse(body);
    return returned;
  } catch (error) {
    if (error instanceof ApiError && !errorsOf(endpoint).some(({ definition }) => definition === error.definition))
      throw new Error(`${endpoint.operationId} does not declare ${error.message}`, { cause: error });
    throw error;
  }
}
