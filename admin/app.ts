// Puts the table of routes behind koa: guards, tokens and roles, bodies and queries in; answers and problems out.
// Must not know what a route does.
import Router from '@koa/router';
import Koa, { type Context, type Middleware } from 'koa';
import { isListed } from './answers.ts';
import { type Actor, type Answer, ROLE_ACCESS, type RouteSpec, type Services } from './call.ts';
import { ADMIN_ERRORS, AdminError, buildProblem } from './errors.ts';
import type { Authenticate } from './middleware/auth.ts';
import { readBody, refuseBody } from './middleware/body.ts';
import { guardBrowser } from './middleware/guard.ts';
import { readQuery } from './middleware/query.ts';
import { ROUTES } from './routes/table.ts';

/** Is what the app needs besides its services. */
export interface AppOptions {
  readonly services: Services;
  readonly authenticate: Authenticate;
  /** Host names, besides addresses and localhost, under which the service is called. */
  readonly allowedHosts: readonly string[];
}

/** Nobody: routes without a role are called by anyone. */
const NOBODY: Actor = { tokenId: '', name: 'nobody', role: 'viewer' };

/** Builds the koa app. */
export function buildApp({ services, authenticate, allowedHosts }: AppOptions): Koa {
  const app = new Koa();
  const router = new Router({ sensitive: true, strict: true });
  for (const route of ROUTES) router.register(route.path, [route.method], buildHandler(route, services));
  app.use(answerProblems(services));
  app.use(guardBrowser(allowedHosts));
  // Before routing: without a token nobody learns which paths exist.
  app.use(identify(authenticate));
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app;
}

function answerProblems({ log }: Services): Middleware {
  return async (context, next) => {
    try {
      await next();
      // The router answers what it does not know with a bare status.
      const allow = context.response.get('Allow');
      if (context.status === 404 && context.body === undefined) {
        throw new AdminError('NOT_FOUND', 'There is nothing at this path.');
      }
      if (context.status === 405 || context.status === 501) {
        throw new AdminError('METHOD_UNSUPPORTED', `Allowed here: ${allow || 'nothing'}.`, {
          headers: { Allow: allow },
        });
      }
    } catch (error) {
      const known = error instanceof AdminError ? error : hideFailure(error);
      const { status } = ADMIN_ERRORS[known.code];
      if (status >= 500)
        log.error('request failed', { code: known.code, method: context.method, reason: reasonOf(error) });
      context.status = status;
      context.set(known.options.headers ?? {});
      context.body = JSON.stringify(buildProblem(known));
      context.type = 'application/problem+json';
    }
  };
}

/** What nobody foresaw is a bug: its text may hold anything, so the client does not see it. */
function hideFailure(cause: unknown): AdminError {
  return new AdminError('ADMIN_FAILED', 'The admin service failed; its log says why.', { cause });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message} (${cause.message})` : error.message;
}

function identify(authenticate: Authenticate): Middleware {
  return async (context, next) => {
    const isPublic = ROUTES.some((route) => route.role === 'public' && route.path === context.path);
    context.state['actor'] = isPublic ? NOBODY : await authenticate(context.req);
    await next();
  };
}

function buildHandler(route: RouteSpec, services: Services): Middleware {
  return async (context) => {
    const actor: Actor = context.state['actor'];
    if (route.role !== 'public' && !ROLE_ACCESS[actor.role].includes(route.role)) {
      throw new AdminError('ROLE_INSUFFICIENT', `It takes the role ${route.role}; this token has ${actor.role}.`);
    }
    const query = readQuery(context.querystring, route.query ?? []);
    if (route.body === undefined) refuseBody(context.req);
    const answer = await route.handle({
      services,
      actor,
      params: context['params'],
      query,
      body: route.body === undefined ? undefined : await readBody(context.req, route.body),
      ifMatch: context.req.headers['if-match'],
      ifNoneMatch: context.req.headers['if-none-match'],
      accept: context.req.headers.accept ?? '',
    });
    send(context, answer);
  };
}

function send(context: Context, answer: Answer): void {
  const { status = 200, body, etag, location, revision, mediaType } = answer;
  context.status = status;
  if (etag !== undefined) context.set('ETag', etag);
  if (location !== undefined) context.set('Location', location);
  if (revision !== undefined) context.set('Sallyport-Revision', String(revision));
  if (status === 204 || body === undefined) return;
  context.body = typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body);
  context.type = mediaType ?? 'application/json';
  // A write checked its preconditions before it wrote.
  const isRead = context.method === 'GET' || context.method === 'HEAD';
  if (isRead && isListed(context.req.headers['if-none-match'] ?? '', etag)) context.status = 304;
}
