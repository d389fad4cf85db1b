import { defineError } from '../lib/errors.ts';

export class MalformedJson extends defineError({
  status: 400,
  code: 'malformed_json',
  title: 'Malformed JSON',
  detail: 'The request body is not valid JSON in UTF-8.',
}) {}

export class MalformedForm extends defineError({
  status: 400,
  code: 'malformed_form',
  title: 'Malformed form',
  detail: 'The request body is not a valid URL-encoded form in UTF-8.',
}) {}

export class RepeatedParameter extends defineError({
  status: 400,
  code: 'repeated_parameter',
  title: 'Repeated parameter',
  detail: 'A parameter was sent more than once. Send it once.',
}) {
  constructor(name: string) {
    super('form', { members: { errors: [{ path: name.slice(0, 64), message: 'must be sent once' }] } });
  }
}

export class MethodNotAllowed extends defineError({
  status: 405,
  code: 'method_not_allowed',
  title: 'Method not allowed',
  detail: 'This resource does not support the method. `Allow` lists the supported methods.',
}) {
  constructor(allow: string) {
    super('method', { headers: { Allow: allow } });
  }
}

export class PayloadTooLarge extends defineError({
  status: 413,
  code: 'payload_too_large',
  title: 'Body too large',
  detail: 'The request body is larger than 16 KiB.',
}) {
  constructor() {
    super('size', { headers: { Connection: 'close' } });
  }
}

const unsupportedMediaType = { status: 415, code: 'unsupported_media_type', title: 'Unsupported media type' };

export class UnsupportedMediaType extends defineError({
  ...unsupportedMediaType,
  detail: 'Send application/json in UTF-8, without a content encoding.',
}) {}

export class FormExpected extends defineError({
  ...unsupportedMediaType,
  detail: 'Send application/x-www-form-urlencoded in UTF-8, without a content encoding.',
}) {}

/** The request has the cookie but no proof that a page of an allowed origin sent it. */
export class CsrfFailed extends defineError({
  status: 403,
  code: 'csrf_failed',
  title: 'CSRF check failed',
  detail: 'Requests with the cookie need an allowed `Origin` and the `X-CSRF-Token` of the session.',
}) {}

/** A bug. The log has the cause under the request id. */
export class InternalError extends defineError({
  status: 500,
  code: 'internal_error',
  title: 'Internal error',
  detail: 'The service failed. Report the request id in `instance`.',
}) {}
