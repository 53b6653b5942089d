// Holds the one answer that the upstream gives and every gateway under test must hand on unchanged.
// Must not depend on a gateway.

/** Is the small JSON body of every answer. */
export const ANSWER_BODY =
  '{"id":"1001","item":"lamp","quantity":2,"status":"packed","total":{"amount":"48.00","currency":"EUR"}}';
