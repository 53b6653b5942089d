// How commands speak to the admin REST: one bounded call, problems turned into readable lines.
// Must not know a resource beyond the path it is given.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeRefusedFile } from './data-dir.ts';
import { CommandError } from './output.ts';
import type { Settings } from './settings.ts';

/** Is one call. */
export interface AdminCall {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly accept?: string;
  readonly body?: { readonly type: string; readonly text: string };
}

/** Is what the admin service answers when it refuses. */
export interface ProblemAnswer {
  readonly title?: string;
  readonly detail?: string;
  readonly code?: string;
  readonly problems?: readonly { readonly pointer: string; readonly message: string }[];
  /** The nodes that are behind, with what each refused. */
  readonly nodes?: readonly BehindNode[];
  readonly revision?: number;
}

interface BehindNode {
  readonly name: string;
  readonly refusal: { readonly revision: number; readonly problems: ProblemAnswer['problems'] } | null;
}

/** Says that the admin service refused a call; the message names every problem. */
export class AdminRefusal extends CommandError {
  readonly answer: ProblemAnswer;

  constructor(status: number, text: string) {
    super(describeRefusal(status, text));
    this.answer = parseProblem(text);
  }
}

/** A replacement of ten thousand apis takes seconds; nothing takes a minute. */
const TIMEOUT_MS = 120_000;

/** Calls the admin REST and gives the body of a good answer. @throws AdminRefusal with every problem, one a line; CommandError */
export async function callAdmin(settings: Settings, call: AdminCall): Promise<string> {
  const url = new URL(call.path, `${settings.adminUrl.replace(/\/+$/, '')}/`);
  const token = await readToken(settings);
  const headers = {
    authorization: `Bearer ${token}`,
    accept: call.accept ?? 'application/json',
    ...(call.body === undefined ? {} : { 'content-type': call.body.type }),
  };
  let response: Response;
  try {
    response = await fetch(url, {
      method: call.method,
      headers,
      body: call.body?.text ?? null,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new CommandError(
      `cannot reach the admin service at ${url.origin} (${readReason(error)}); is it running? See SALLYPORT_ADMIN_URL`,
    );
  }
  const text = await response.text();
  if (!response.ok) throw new AdminRefusal(response.status, text);
  return text;
}

/** Writes a list of problems, each with the place it points at. */
export function describeProblems(problems: readonly { readonly pointer: string; readonly message: string }[]): string {
  return problems.map(({ pointer, message }) => `  ${pointer === '' ? '/' : pointer}: ${message}`).join('\n');
}

async function readToken(settings: Settings): Promise<string> {
  if (settings.adminToken !== undefined) return settings.adminToken;
  const path = join(settings.dataDir, 'admin-token');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const why = isMissing ? `there is no token at ${path}` : `${path} cannot be read: ${describeRefusedFile(error)}`;
    throw new CommandError(
      `SALLYPORT_ADMIN_TOKEN: not set, and ${why}. Example: SALLYPORT_ADMIN_TOKEN=sallyport_...`,
      2,
    );
  }
}

function describeRefusal(status: number, text: string): string {
  const answer = parseProblem(text);
  const head = [answer.title ?? `the admin service answered ${status}`, answer.detail].filter(Boolean).join(': ');
  if (answer.code === 'SHRINK_REFUSED') return `${head} Here: --allow-shrink.`;
  const lines = [...(answer.problems?.length ? [describeProblems(answer.problems)] : []), ...describeNodes(answer)];
  return [head, ...lines].join('\n');
}

/** Writes what each node refused of the revision that was waited for; what it refused before that says nothing of this one. */
function describeNodes({ nodes = [], revision = 0 }: ProblemAnswer): readonly string[] {
  return nodes.flatMap(({ name, refusal }) => {
    if (refusal === null || refusal.revision < revision || !refusal.problems?.length) return [];
    return [`${name} refused it:`, describeProblems(refusal.problems)];
  });
}

function parseProblem(text: string): ProblemAnswer {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === 'object' && answer !== null ? (answer as ProblemAnswer) : {};
  } catch {
    return {};
  }
}

function readReason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return String(cause);
}
